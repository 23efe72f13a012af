"""DICOM objects of the same voxels as an image of SimpleITK: a series, one file of many frames, SEG and RTSTRUCT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import FileMetaDataset
from pydicom.pixels import pack_bits
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
MR, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"


def numbers(values: Sequence[float]) -> list[str]:
    """Values as DICOM's decimal strings, of at most 16 characters."""
    return [f"{value:.10g}"[:16] for value in values]


def header(sop_class: str, modality: str, instance: str | None = None) -> pydicom.Dataset:
    """The elements that every object needs."""
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = instance or generate_uid()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.Modality, dataset.StudyInstanceUID = modality, "1.2.826.0.1.3680043.8.498.1"
    dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = (
        "1.2.826.0.1.3680043.8.498.2",
        "1.2.826.0.1.3680043.8.498.3",
    )
    for keyword in ("PatientID", "PatientName", "StudyID", "AccessionNumber", "Manufacturer", "StudyDate", "StudyTime"):
        setattr(dataset, keyword, "")
    dataset.PatientBirthDate = dataset.PatientSex = dataset.ReferringPhysicianName = dataset.Laterality = ""
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    return dataset


def with_pixels(dataset: pydicom.Dataset, array: np.ndarray) -> pydicom.Dataset:
    """The dataset with 16-bit pixels."""
    array = np.ascontiguousarray(array, np.int16)
    dataset.Rows, dataset.Columns = array.shape[-2:]
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 1, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = array.tobytes()
    return dataset


def place_of(image: sitk.Image, k: int) -> list[str]:
    return numbers(image.TransformIndexToPhysicalPoint((0, 0, k)))


def cosines_of(image: sitk.Image) -> list[str]:
    return numbers(np.array(image.GetDirection()).reshape(3, 3).T[:2].ravel())


def series_of(image: sitk.Image, series: str = "2", frame_of_reference: str = "3") -> list[pydicom.Dataset]:
    """One MR image a slice."""
    datasets = []
    for k, plane in enumerate(sitk.GetArrayFromImage(image)):
        dataset = with_pixels(header(MR, "MR", f"1.2.826.0.1.3680043.8.498.{series}.{k + 1}"), plane)
        dataset.SeriesInstanceUID = f"1.2.826.0.1.3680043.8.498.{series}"
        dataset.FrameOfReferenceUID = f"1.2.826.0.1.3680043.8.498.{frame_of_reference}"
        dataset.ImagePositionPatient, dataset.ImageOrientationPatient = place_of(image, k), cosines_of(image)
        columns_mm, rows_mm, slices_mm = image.GetSpacing()
        dataset.PixelSpacing, dataset.SliceThickness = numbers((rows_mm, columns_mm)), f"{slices_mm:.10g}"
        dataset.InstanceNumber = k + 1
        datasets.append(dataset)
    return datasets


def write(dataset: pydicom.Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(image: sitk.Image, folder: Path, **uids: str) -> Path:
    """A folder with one file a slice."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, dataset in enumerate(series_of(image, **uids)):
        write(dataset, folder / f"{k:03d}.dcm")
    return folder


def item(**elements: object) -> pydicom.Dataset:
    dataset = pydicom.Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def enhanced(
    images: Sequence[sitk.Image],
    order: Sequence[tuple[int, int]],
    *,
    shared_geometry: bool = True,
    delays_ms: Sequence[float] | None = None,
    rescaling: Sequence[tuple[float, float]] | None = None,
) -> pydicom.Dataset:
    """One file of many frames.

    Args:
        images: The phases, on one grid.
        order: Phase and slice of each frame.
        shared_geometry: Whether orientation and spacing stand in the shared groups, or with each frame.
        delays_ms: Trigger delay of each phase, where the file says it.
        rescaling: Slope and intercept of each frame.
    """
    arrays = [sitk.GetArrayFromImage(image) for image in images]
    dataset = with_pixels(header(ENHANCED_MR, "MR"), np.stack([arrays[phase][k] for phase, k in order]))
    dataset.NumberOfFrames = len(order)
    columns_mm, rows_mm, slices_mm = images[0].GetSpacing()
    geometry = {
        "PlaneOrientationSequence": [item(ImageOrientationPatient=cosines_of(images[0]))],
        "PixelMeasuresSequence": [
            item(PixelSpacing=numbers((rows_mm, columns_mm)), SpacingBetweenSlices=f"{slices_mm:.10g}")
        ],
    }
    frames = []
    for number, (phase, k) in enumerate(order):
        groups = {
            "FrameContentSequence": [item(StackID="1", InStackPositionNumber=k + 1)],
            "PlanePositionSequence": [item(ImagePositionPatient=place_of(images[0], k))],
        }
        if delays_ms is not None:
            groups["CardiacSynchronizationSequence"] = [item(NominalCardiacTriggerDelayTime=float(delays_ms[phase]))]
        if rescaling is not None:
            slope, intercept = rescaling[number]
            groups["PixelValueTransformationSequence"] = [
                item(RescaleSlope=f"{slope:g}", RescaleIntercept=f"{intercept:g}", RescaleType="US")
            ]
        frames.append(item(**groups, **({} if shared_geometry else geometry)))
    dataset.PerFrameFunctionalGroupsSequence = frames
    dataset.SharedFunctionalGroupsSequence = [item(**(geometry if shared_geometry else {}))]
    return dataset


def seg_of(
    image: sitk.Image,
    masks: Sequence[np.ndarray],
    kind: str = "BINARY",
    *,
    names: Sequence[str] | None = None,
    omit_empty: bool = True,
    order: Sequence[int] | None = None,
    source: Sequence[pydicom.Dataset] | None = None,
) -> pydicom.Dataset:
    """A DICOM segmentation by highdicom.

    Args:
        image: The image it is drawn on.
        masks: One a segment, slices x rows x columns; for LABELMAP they must not overlap.
        kind: BINARY, FRACTIONAL or LABELMAP.
        names: Names of the segments.
        omit_empty: Whether frames without a pixel are left out.
        order: A new order of the frames, by their numbers from 0; those that are there.
        source: The series, where it is not that of the image.
    """
    described = [
        highdicom.seg.SegmentDescription(
            number,
            name,
            codes.SCT.Organ,
            codes.SCT.Heart,
            highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, name in enumerate(names or [f"segment {n + 1}" for n in range(len(masks))], start=1)
    ]
    if kind == "LABELMAP":
        pixels = np.zeros(masks[0].shape, np.uint8)
        for number, mask in enumerate(masks, start=1):
            pixels[mask > 0] = number
    else:
        pixels = np.stack(masks, axis=-1).astype(np.float32 if kind == "FRACTIONAL" else np.uint8)
    seg = highdicom.seg.Segmentation(
        source_images=list(source or series_of(image)),
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=generate_uid(),
        series_number=1,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="none",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=omit_empty,
    )
    return seg if order is None else in_order(seg, order)


def in_order(seg: pydicom.Dataset, order: Sequence[int]) -> pydicom.Dataset:
    """A segmentation with its frames in another order."""
    order = [number for number in order if number < int(seg.NumberOfFrames)]
    groups = list(seg.PerFrameFunctionalGroupsSequence)
    seg.PerFrameFunctionalGroupsSequence = [groups[number] for number in order]
    pixels = seg.pixel_array.reshape(len(order), seg.Rows, seg.Columns)[order]
    packed = pack_bits(pixels.ravel()) if seg.BitsAllocated == 1 else pixels.tobytes()
    seg.PixelData = packed + b"\0" * (len(packed) % 2)
    return seg


def rtstruct_of(
    regions: dict[str, Sequence[np.ndarray]], *, kind: str = "CLOSED_PLANAR", frame_of_reference: str = ""
) -> pydicom.Dataset:
    """A structure set.

    Args:
        regions: Contours of each region, N x 3 in mm.
        kind: Their geometric type.
        frame_of_reference: Identifier of the coordinates' system; by default that of the series.
    """
    dataset = header(RTSTRUCT, "RTSTRUCT")
    frame_of_reference = frame_of_reference or str(dataset.FrameOfReferenceUID)
    series = item(SeriesInstanceUID="1.2.826.0.1.3680043.8.498.2")
    study = item(RTReferencedSeriesSequence=[series])
    dataset.ReferencedFrameOfReferenceSequence = [
        item(FrameOfReferenceUID=frame_of_reference, RTReferencedStudySequence=[study])
    ]
    dataset.StructureSetROISequence = [
        item(ROINumber=n, ROIName=name, ReferencedFrameOfReferenceUID=frame_of_reference)
        for n, name in enumerate(regions, start=1)
    ]
    dataset.ROIContourSequence = [
        item(
            ReferencedROINumber=n,
            ContourSequence=[
                item(
                    ContourGeometricType=kind,
                    NumberOfContourPoints=len(contour),
                    ContourData=numbers(np.asarray(contour, float).ravel()),
                )
                for contour in contours
            ],
        )
        for n, contours in enumerate(regions.values(), start=1)
    ]
    dataset.RTROIObservationsSequence = [
        item(ObservationNumber=n, ReferencedROINumber=n, RTROIInterpretedType="", ROIInterpreter="")
        for n in range(1, len(regions) + 1)
    ]
    return dataset
