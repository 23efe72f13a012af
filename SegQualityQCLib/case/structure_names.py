"""Names that segments of known structures have in data sets and programs, by SNOMED-CT code. This file is data only.

Case, accents, spaces and punctuation are folded before names are compared: ``LV_Myo`` is ``lvmyo``. A name may stand
under one code alone; a test looks for collisions. A model's own aliases hold beside these.

Sources: ACDC, M&Ms and M&Ms-2 (LV, MYO, RV), nnU-Net's Dataset027_ACDC (RV, MLV, LVC), TotalSegmentator's
``heartchambers`` tasks, MM-WHS, ukbb_cardiac (LV cavity, LV wall), 3D Slicer, and words of six languages.
"""

from __future__ import annotations

LV_MYOCARDIUM = "74281007"
LV_CAVITY = "87878005"
RV_CAVITY = "53085002"

STRUCTURE_NAMES: dict[str, tuple[str, ...]] = {
    LV_MYOCARDIUM: (
        *("left ventricular myocardium", "LV myocardium", "left ventricle myocardium", "myocardium", "Myo", "LVM"),
        *("MLV", "LV Myo", "Myo LV", "myocardium LV", "LV wall", "LV mass", "left ventricular wall", "LV muscle"),
        *("heart_myocardium", "myocardium of the left ventricle", "left myocardium", "LV myocard"),
        *("Myokard", "LV-Myokard", "linksventrikuläres Myokard", "myocarde", "myocarde VG", "miocárdio"),
        *("miocardio VI", "miocardio ventricolare sinistro", "myocard"),
    ),
    LV_CAVITY: (
        *("left ventricular cavity", "LV cavity", "left ventricle cavity", "LVC", "LV cav", "cavity LV"),
        *("LVBP", "LV blood pool", "left ventricular blood pool", "left ventricle blood pool", "LV blood", "BP LV"),
        *("LV endo", "LV endocardium", "left ventricular endocardium", "LV lumen", "LV chamber"),
        *("heart_ventricle_left", "LV-Kavum", "LV-Cavum", "linksventrikuläres Kavum", "cavité VG", "cavidad VI"),
        *("cavità VS", "cavidade VE"),
    ),
    RV_CAVITY: (
        *("right ventricular cavity", "RV cavity", "right ventricle cavity", "right ventricle", "RV", "RVC", "RV cav"),
        *("RVBP", "RV blood pool", "right ventricular blood pool", "right ventricle blood pool", "RV blood", "BP RV"),
        *("RV endo", "RV endocardium", "right ventricular endocardium", "RV lumen", "RV chamber"),
        *(
            "cavity RV",
            "heart_ventricle_right",
            "RV-Kavum",
            "RV-Cavum",
            "rechter Ventrikel",
            "rechtsventrikuläres Kavum",
        ),
        *(
            "ventricule droit",
            "cavité VD",
            "ventrículo derecho",
            "cavidad VD",
            "ventricolo destro",
            "ventrículo direito",
        ),
        "rechter hartkamer",
    ),
}

# RV is not among these: no data set that was looked at draws the thin wall of the right ventricle with its cavity.
# The cavity alone in ACDC and M&Ms, cavity and muscle together elsewhere, as in echocardiography and in meshes. Such a
# name finds the model that lists it among its own aliases, and the report says so.
AMBIGUOUS_NAMES: tuple[str, ...] = (
    *("LV", "left ventricle", "left cardiac ventricle", "left heart ventricle", "ventricle", "VG", "VI", "VS", "VE"),
    *("linker Ventrikel", "ventricule gauche", "ventrículo izquierdo", "ventricolo sinistro", "ventrículo esquerdo"),
    *("blood pool", "cavity", "lumen", "endo", "endocardium", "wall", "muscle"),
)
