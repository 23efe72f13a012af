"""The settings of a study; :mod:`training.study.study_file` reads them from its YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from SegQualityQCLib.errors import InputError

METHODS = ("rec-reg", "direct")  # by the difference image, by the image
MADE_MASKS = ("reference", "blend", "extra slice", "empty mask")  # kinds of masks made of the reference


@dataclass(frozen=True)
class Structure:
    """A structure that models are trained for.

    Attributes:
        key: Short name, used in file and bundle names.
        label: Its value in the reference labelmaps.
        name: Name in words.
        snomed: SNOMED-CT code, meaning.
        aliases: Other names of its segments.
        warm_start: Key of the structure whose networks its own start from; ``None`` starts from random weights.
        kinds: The methods that are trained.
    """

    key: str
    label: int
    name: str
    snomed: tuple[str, str]
    aliases: tuple[str, ...] = ()
    warm_start: str | None = None
    kinds: tuple[str, ...] = METHODS


@dataclass(frozen=True)
class DataSource:
    """Where the patients are.

    Attributes:
        layout: ``acdc`` or ``mnms``, those of the challenges ACDC and M&Ms, or ``nnunet``, nnU-Net's raw one.
        root: A folder, or the environment variable that names it.
        modality: Of the images, for the model's metadata and card.
        patients: How many are taken, in turn from the groups of diagnosis; ``None`` takes all.
        release: The patients and files of ACDC that these are, for the model's card.
        hospital: Name of the hospital, for layouts that name none; ``None`` takes the name of the layout.
    """

    layout: str
    root: str
    modality: str = "MR"
    patients: int | None = None
    release: str | None = None
    hospital: str | None = None

    @property
    def of_the_paper(self) -> bool:
        """Whether these are the paper's data: its figures, this project's goals and the demo heart fit only these."""
        return self.layout == "acdc"


@dataclass(frozen=True)
class Fit:
    """How a network is trained.

    Attributes:
        epochs: Of the one-cycle schedule.
        learning_rate: At its peak.
        batch_size: Slices of a step.
        averaging: Decay of the exponential moving average of the weights; 0 keeps the last weights.
        warm_epochs: Epochs of a structure whose networks start from another one's, in one cycle.
    """

    epochs: int
    learning_rate: float
    batch_size: int = 16
    averaging: float = 0.0
    warm_epochs: int | None = None


@dataclass(frozen=True)
class RegNetFit(Fit):
    """How REG-Nets are trained.

    Attributes:
        epochs, learning_rate, batch_size, averaging, warm_epochs: As in :class:`Fit`.
        further_epochs: Epochs of further cycles, by method; each cycle starts from the weights of the one before.
    """

    further_epochs: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Architecture:
    """A network of MONAI that draws candidates of patients that it never saw.

    Attributes:
        name: Of its files.
        network: Its class: ``AttentionUnet``, ``BasicUNet``, ``DynUNet``, ``SegResNet`` or ``UNet``.
        sizes: Arguments of the class, beside the dimensions and the channels of input and output.
        readouts: Epochs after which it draws its candidates, ascending; the last one ends the training.
        learning_rate: At the peak of the one-cycle schedule.
        batch_size: Slices of a step.
        slices: Slices of an epoch, drawn at random; ``None`` takes all.
    """

    name: str
    network: str
    sizes: dict[str, Any]
    readouts: tuple[int, ...]
    learning_rate: float = 2e-3
    batch_size: int = 16
    slices: int | None = None


@dataclass(frozen=True)
class CandidateNets:
    """The networks that draw candidates: U-nets of each depth with each number of filters, or architectures by folds.

    The U-nets are trained on all training patients, and draw these too. An architecture is trained once for each fold,
    and draws only patients that are not in it.

    Attributes:
        depths: Levels of the U-nets.
        filters: Filters of their first level.
        readouts: Epochs after which each draws its candidates, ascending; the last one ends the training.
        learning_rate: At the peak of the one-cycle schedule.
        batch_size: Slices of a step.
        architectures: The architectures in the order of their training.
        unseen_architecture: Name of the one whose candidates no REG-Net is trained on; it is trained on all training
            patients.
        hospitals: Each one's training patients are a fold.
        parts: Equal parts of all training patients that are folds too; 0 for none.
    """

    depths: tuple[int, ...] = ()
    filters: tuple[int, ...] = ()
    readouts: tuple[int, ...] = ()
    learning_rate: float = 2e-3
    batch_size: int = 16
    architectures: tuple[Architecture, ...] = ()
    unseen_architecture: str | None = None
    hospitals: tuple[str, ...] = ()
    parts: int = 0


@dataclass(frozen=True)
class Sampling:
    """How slices are drawn for REG-Net: ten equal bins of Dice.

    Attributes:
        train: Slices of an epoch.
        validation: Validation slices, drawn once.
        test: Test slices, drawn once.
        fresh: Draw the training slices anew each epoch (else once, as in the paper).
        perturbed: Share of perturbed reference masks among the training slices (0 in the paper).
        variants: Perturbed masks made of each reference slice.
        made: Share of each kind of made mask among the training slices: ``reference``, ``blend`` (between a network's
            candidate and the reference), ``extra slice`` or ``empty mask``.
        blends: Blends made of each reference slice.
    """

    train: int = 3200
    validation: int = 1000
    test: int = 1000
    fresh: bool = True
    perturbed: float = 0.5
    variants: int = 16
    made: dict[str, float] = field(default_factory=dict)
    blends: int = 4


@dataclass(frozen=True)
class Variant:
    """A REG-Net trained in another way, for the ablation table; what is not given stays as in the study.

    Attributes:
        name: Of the variant.
        says: What it shows, for the table.
        fresh, perturbed: As in :class:`Sampling`.
        without: A kind of perturbed mask that the net never sees and is then measured on.
        network: REG-Net's sizes in place of the study's ``reg_network``.
        learning_rate: In place of that of the study's ``reg_net``.
    """

    name: str
    says: str
    fresh: bool | None = None
    perturbed: float | None = None
    without: str | None = None
    network: dict[str, Any] | None = None
    learning_rate: float | None = None

    def of(self, study: Study) -> Study:
        """The study, changed as this variant wants."""
        changes = {key: getattr(self, key) for key in ("fresh", "perturbed") if getattr(self, key) is not None}
        return replace(
            study,
            sampling=replace(study.sampling, **changes),
            reg_network=self.network or study.reg_network,
            reg_net=replace(study.reg_net, learning_rate=self.learning_rate or study.reg_net.learning_rate),
        )


@dataclass(frozen=True)
class Ablation:
    """How the variants are trained.

    Attributes:
        kind: The method.
        epochs: Of each; ``None`` trains them as the bundled model, which is then the first row of the table. With
            fewer epochs a variant that changes nothing has to be among them, to compare with; weights are then not
            averaged.
    """

    kind: str = "rec-reg"
    epochs: int | None = None


HARDENED = Variant(
    "hardened", "fine-tuned on images attacked through the whole pipeline and on those of a faulty scanner"
)


@dataclass(frozen=True)
class Hardening:
    """How a method's REG-Net is fine-tuned on attacked images and on those of a faulty scanner.

    Attributes:
        epochs: Of one cycle of the one-cycle schedule.
        learning_rate: At its peak.
        train: Slices of an epoch, half of them attacked.
        eps: Largest change of a pixel in [-1, 1].
        steps: Gradient steps of each attack.
        faults: Share of the other half that gets faults of a scanner.
        smoothing: Standard deviation in pixels of the Gaussian that blurs the image before any network sees it, in
            training and in the bundle.
        share: Of the hardened weights in the final ones; the rest is from before.
        bundled: Whether the hardened net of the first structure is the one that is exported.
        seed: The one of the study's ``seeds`` whose net is hardened, shown and exported; ``None`` for the first.
    """

    epochs: int
    learning_rate: float
    train: int = 3200
    eps: float = 0.1
    steps: int = 1
    faults: float = 0.0
    smoothing: float = 0.0
    share: float = 1.0
    bundled: bool = False
    seed: int | None = None


@dataclass(frozen=True)
class AttackStudy:
    """What the attack study and the corruption study measure on the test patients; they set the time it takes.

    Attributes:
        slices: Candidates that are attacked, balanced over ten bins of Dice.
        perturbed: Share of perturbed reference masks among them (0 in the paper).
        eps: Of the one-step attacks; the paper's.
        pgd_eps: Of PGD; the defences are tried at the first, the transfer to other models at the last.
        pgd_steps: Steps of PGD.
        long_slices: Slices that PGD also attacks with more steps, to show what these add.
        long_steps: Steps of that longer run.
        bad_slices: Bad candidates, drawn apart, that PGD with the first eps tries to make look good.
        bisection_steps: Steps of each PGD in the search for the smallest eps.
        bisection_rounds: Halvings of that search, which begins at the largest ``eps``.
        smoothing: Standard deviation in pixels of the defence that blurs the image.
        noise: Standard deviation of the defence that averages over copies with noise.
        noise_copies: Its copies.
        volumes: Test volumes that are corrupted as a scanner would.
        candidates: Candidates of each volume, from the worst to the best.
    """

    slices: int = 100
    perturbed: float = 0.0
    eps: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.3)
    pgd_eps: tuple[float, ...] = (0.05, 0.1)
    pgd_steps: int = 40
    long_slices: int = 20
    long_steps: int = 160
    bad_slices: int = 150
    bisection_steps: int = 20
    bisection_rounds: int = 4
    smoothing: float = 1.0
    noise: float = 0.1
    noise_copies: int = 4
    volumes: int = 6
    candidates: int = 4


@dataclass(frozen=True)
class Study:
    """A whole study; see training/configs for examples.

    Attributes:
        name: Of the study: its folder below ``runs``; its first word begins the names of the bundles.
        data: Where the patients are.
        structures: What models are trained for; the first one is attacked, hardened and in the ablation table.
        candidate_nets: The U-nets that draw candidates.
        rec_net: How REC-Net is trained.
        reg_net: How REG-Net is trained.
        sampling: How slices are drawn for REG-Net.
        window_size: Side in pixels of what the networks see, a multiple of 16.
        window_spacing_mm: Of these pixels; the window must hold the structure with its surroundings.
        margin: Pixels around the networks' window that the cache keeps for augmentation, a multiple of 8.
        rec_filters: REC-Net's filters, from its first level to its last.
        reg_network: REG-Net's sizes: arguments of :class:`PixelRegNet` with ``head: pixels``, else of :class:`RegNet`,
            both of :mod:`SegQualityQCLib.estimators.networks.architectures`.
        seeds: Seeds of the REG-Nets; each trains one more. The first one is exported, unless the section ``hardening``
            names another. Several show how much of a figure is chance.
        variants: Other ways of training the first structure's REG-Net, for the ablation table.
        ablation: How the variants are trained.
        split_seed: Of the random split of the patients, and of the random samples of slices.
        split: File of the split, relative to the folder where training runs. Only its patients are used, as far as the
            data hold them; ``None`` splits the patients of each hospital at random.
        further_data: Where more patients are.
        unseen_hospitals: Hospitals that nothing is trained on; their patients are a part ``unseen`` of the split.
        hospital_splits: File of the split of a hospital, by its name, while ``split`` is ``None``.
        familiarity_margin: Factor on the threshold of the distribution check; above 1 where too few patients show how
            images vary.
        hardening: How the first structure's REG-Nets are made robust against attacks, by method; a method that is left
            out is not hardened.
        attack_study: What the attack study measures on the first structure's models; ``None`` leaves it out.
        precision: Of the trainings, as Lightning names it; bfloat16 becomes float32 on processors that are no faster
            with it.
        models: Folder that the bundles are exported to; by default inside the study's folder.
        results: Folder of the results page; by default inside the study's folder.
        version: Version of the exported bundles.
        runs: Folder of all studies' runs.
    """

    name: str
    data: DataSource
    structures: tuple[Structure, ...]
    candidate_nets: CandidateNets
    rec_net: Fit
    reg_net: RegNetFit
    sampling: Sampling = field(default_factory=Sampling)
    window_size: int = 144
    window_spacing_mm: float = 1.5
    margin: int = 32
    rec_filters: tuple[int, ...] = (16, 32, 64, 128)
    reg_network: dict[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    variants: tuple[Variant, ...] = ()
    ablation: Ablation = field(default_factory=Ablation)
    split_seed: int = 0
    split: str | None = None
    further_data: tuple[DataSource, ...] = ()
    unseen_hospitals: tuple[str, ...] = ()
    hospital_splits: dict[str, str] = field(default_factory=dict)
    familiarity_margin: float = 1.0
    hardening: dict[str, Hardening] = field(default_factory=dict)
    attack_study: AttackStudy | None = None
    models: str | None = None
    results: str | None = None
    version: str = "0.1.0"
    precision: str = "bf16-mixed"
    runs: Path = Path("runs")

    @property
    def sources(self) -> tuple[DataSource, ...]:
        """Where all patients are."""
        return (self.data, *self.further_data)

    @property
    def folder(self) -> Path:
        """Where the study keeps what it makes."""
        return self.runs / self.name

    def variant(self, name: str | None) -> Variant | None:
        """The variant with this name; ``None`` for none."""
        if name is None:
            return None
        for variant in (*self.variants, *((HARDENED,) if self.hardening else ())):
            if variant.name == name:
                return variant
        known = ", ".join(variant.name for variant in self.variants)
        raise InputError(f"The study {self.name} has no variant {name!r}: it has {known}.")

    def rec_net_epochs(self, structure: Structure) -> int:
        """Epochs that a structure's REC-Net is trained for."""
        if structure.warm_start is not None and self.rec_net.warm_epochs:
            return self.rec_net.warm_epochs
        return self.rec_net.epochs

    def structure(self, key: str) -> Structure:
        """The structure with this key."""
        for structure in self.structures:
            if structure.key == key:
                return structure
        known = ", ".join(structure.key for structure in self.structures)
        raise InputError(f"The study {self.name} has no structure {key!r}: it has {known}.")
