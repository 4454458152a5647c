"""Challenge folders, as they are downloaded, into nnU-Net's raw layout with the attributes of the persons.

`CONVERTERS` is the one table of them: the layout of a folder, how its cases are found, licence and citation.
They share `convert`. Each layout is the one that nnU-Net's own converter, or two independent readers of the
data, take; files are copied, nothing is downloaded and nothing replaced.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import SimpleITK as sitk

from fairseg.io.csv_files import read_csv, to_csv
from fairseg.io.files import filled_folder
from fairseg.io.image_writing import write_image
from fairseg.io.json_files import read_json
from fairseg.io.sentences import counted, lacks_column, listed, not_among


@dataclass(frozen=True)
class ChallengeCase:
    """A case in a challenge folder.

    Attributes:
        case, subject: its name, and the person's.
        image: file of the image.
        mask: file of the mask; or name of a structure -> its mask.
        attributes: name of a column of groups.csv -> text.
        frame: of files with several frames, which one.
    """

    case: str
    subject: str
    image: Path
    mask: Path | Mapping[str, Path]
    attributes: Mapping[str, Any]
    frame: int | None = None


@dataclass(frozen=True)
class Converter:
    """A challenge whose folder can be converted.

    Attributes:
        layout: what the folder must hold.
        channel: name of the one channel.
        labels: name -> value; empty if each structure is a file, which then are numbered by name.
        cases: folder -> its cases.
        licence, citation: of the data.
    """

    layout: str
    channel: str
    labels: Mapping[str, int]
    cases: Callable[[Path], list[ChallengeCase]]
    licence: str
    citation: str


@dataclass(frozen=True)
class Converted:
    """The result of a conversion.

    Attributes:
        cases, subjects: how many.
        missing: name of an attribute -> cases without it, of those that some lack.
        notes: further notes, one line each.
    """

    cases: int
    subjects: int
    missing: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def convert(challenge: str, folder: str | Path, out: str | Path) -> Converted:
    """Copy a challenge's training cases into nnU-Net's raw layout, with groups.csv.

    Args:
        challenge: one of `CONVERTERS`.
        folder: as it was downloaded and unpacked; see `Converter.layout`.
        out: a folder that is not there yet, or is empty. It needs as much room as the images have.

    Raises:
        ValueError: the challenge is not known, `out` holds something, or the folder is not of this layout;
            the message says what was expected where.
    """
    if challenge not in CONVERTERS:
        raise ValueError(not_among("challenge", challenge, CONVERTERS))
    converter, destination = CONVERTERS[challenge], Path(out)
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise ValueError(f"{destination} must be a new or an empty folder: nothing is written over")
    cases = converter.cases(Path(folder)) if Path(folder).is_dir() else []
    if not cases:
        raise ValueError(f"{folder} must hold {converter.layout}, found no such case")
    labels = dict(converter.labels) or _names_of_masks(cases)
    notes: list[str] = []
    with filled_folder(destination, "dataset") as scratch:
        for kind in ("imagesTr", "labelsTr"):
            (scratch / kind).mkdir()
        for one in cases:
            _copy(one.image, scratch / "imagesTr" / f"{one.case}_0000.nii.gz", one.frame)
            target = scratch / "labelsTr" / f"{one.case}.nii.gz"
            if isinstance(one.mask, Path):
                _copy(one.mask, target, one.frame)
            elif shared := _join_structures(one.mask, labels, target):
                notes.append(f"{one.case}: {counted(shared, 'voxel')} in two masks, given to the later name")
        table = pd.DataFrame([{"case": one.case, "subject": one.subject, **one.attributes} for one in cases])
        (scratch / "groups.csv").write_text(to_csv(table), encoding="utf-8")
        description = {
            "channel_names": {"0": converter.channel},
            "labels": {"background": 0, **labels},
            "numTraining": len(cases),
            "file_ending": ".nii.gz",
            "licence": converter.licence,
            "reference": converter.citation,
        }
        (scratch / "dataset.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
    lacking = (table.isna() | (table == "")).sum()
    missing = {str(name): int(number) for name, number in lacking.items() if number}
    return Converted(len(cases), table["subject"].nunique(), missing, tuple(notes))


def _copy(source: Path, target: Path, frame: int | None) -> None:
    """Copy a file, or write one frame of it."""
    if frame is None:
        shutil.copyfile(source, target)
        return
    image = _read(source)
    if image.GetDimension() != 4 or not 0 <= frame < image.GetSize()[3]:
        raise ValueError(f"{source} must have four axes and a frame {frame}, got size {image.GetSize()}")
    write_image(target, image[:, :, :, frame])


def _join_structures(masks: Mapping[str, Path], labels: Mapping[str, int], target: Path) -> int:
    """Write one label map of a mask file a structure; return how many voxels two of them have."""
    if without := sorted(labels.keys() - masks.keys()):
        raise ValueError(f"{next(iter(masks.values())).parent} has no mask of {listed(without)}")
    like = _read(masks[next(iter(labels))])
    joint, shared = np.zeros(sitk.GetArrayViewFromImage(like).shape, dtype=np.uint8), 0
    for name, value in labels.items():
        inside = sitk.GetArrayFromImage(_read(masks[name])) > 0
        if joint.shape != inside.shape:
            raise ValueError(f"{masks[name]} must have the size of the other masks, got {inside.shape}")
        shared += int(np.count_nonzero(joint[inside]))
        joint[inside] = value
    written = sitk.GetImageFromArray(joint)
    written.CopyInformation(like)
    write_image(target, written)
    return shared


def _read(file: Path) -> Any:
    try:
        return sitk.ReadImage(str(file))
    except RuntimeError as error:
        raise ValueError(f"{file} cannot be read: {str(error).strip().splitlines()[-1]}") from None


def _names_of_masks(cases: list[ChallengeCase]) -> dict[str, int]:
    names = sorted(cases[0].mask) if isinstance(cases[0].mask, Mapping) else []
    if not 0 < len(names) < 256:
        raise ValueError(f"{cases[0].image.parent} must have 1 to 255 masks of structures, got {len(names)}")
    return {name: number for number, name in enumerate(names, start=1)}


def _rows(file: Path, key: str, columns: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return key -> attributes of a table; `columns` are name in the table -> name in groups.csv."""
    table = read_csv(file)
    if key not in table:
        raise ValueError(lacks_column(file, key, table.columns))
    present = {name: new for name, new in columns.items() if name in table}
    if absent := [name for name, new in columns.items() if new in ("sex", "age") and name not in present]:
        raise ValueError(lacks_column(file, absent[0], table.columns))
    selected = table.set_index(key)[list(present)].rename(columns=present)
    return {str(name): {new: row[new] for new in present.values()} for name, row in selected.iterrows()}


def _only(folder: Path, pattern: str) -> Path:
    files = sorted(folder.glob(pattern))
    if len(files) != 1:
        raise ValueError(f"{folder} must hold one {pattern}, found {listed([one.name for one in files])}")
    return files[0]


def _with_files(folder: Path, image: str, mask: str) -> list[Path]:
    """Return the folders of cases that have both files."""
    folders = [case_folder for case_folder in sorted(folder.iterdir()) if case_folder.is_dir()]
    return [
        case_folder
        for case_folder in folders
        if all((case_folder / name.format(case_folder.name)).is_file() for name in (image, mask))
    ]


def _kits23(folder: Path) -> list[ChallengeCase]:
    persons = {str(one["case_id"]): one for one in read_json(_only(folder, "kits23.json"))}
    columns = {"gender": "sex", "age_at_nephrectomy": "age", "bmi": "bmi"}
    return [
        ChallengeCase(
            case_folder.name,
            case_folder.name,
            case_folder / "imaging.nii.gz",
            case_folder / "segmentation.nii.gz",
            {name: persons.get(case_folder.name, {}).get(key) for key, name in columns.items()},
        )
        for case_folder in _with_files(folder, "imaging.nii.gz", "segmentation.nii.gz")
    ]


def _mnms(folder: Path) -> list[ChallengeCase]:
    columns = {"Sex": "sex", "Age": "age", "Height": "height", "Weight": "weight", "VendorName": "vendor"}
    columns |= {"Centre": "centre", "Pathology": "pathology", "ED": "ED", "ES": "ES"}
    persons = _rows(_only(folder, "*M&Ms_Dataset_*nformation*.csv"), "External code", columns)
    cases = []
    for case_folder in _with_files(folder / "Training" / "Labeled", "{}_sa.nii.gz", "{}_sa_gt.nii.gz"):
        if case_folder.name not in persons:
            raise ValueError(
                f"the table in {folder} must say which frames {case_folder.name} has, it has no such row"
            )
        attributes = dict(persons[case_folder.name])
        frames = {phase: attributes.pop(phase) for phase in ("ED", "ES")}
        image, mask = (case_folder / f"{case_folder.name}_sa{end}.nii.gz" for end in ("", "_gt"))
        for phase, frame in frames.items():
            named = {"phase": phase, **attributes}
            cases.append(
                ChallengeCase(f"{case_folder.name}_{phase}", case_folder.name, image, mask, named, int(frame))
            )
    return cases


def _amos(folder: Path) -> list[ChallengeCase]:
    columns = {"Patient's Sex": "sex", "Patient's Age": "age", "Site": "site", "Manufacturer": "manufacturer"}
    columns |= {"Manufacturer's Model Name": "scanner"}
    table = _rows(_only(folder, "labeled_data_meta_*.csv"), "amos_id", columns)
    persons = {int(float(number)): attributes for number, attributes in table.items()}
    nobody = dict.fromkeys(next(iter(persons.values()), {}))
    cases = []
    for end, part in (("Tr", "train"), ("Va", "validation")):
        for image in sorted((folder / f"images{end}").glob("amos_*.nii.gz")):
            case, mask = image.name.removesuffix(".nii.gz"), folder / f"labels{end}" / image.name
            number = int(case.removeprefix("amos_"))
            if mask.is_file():
                modality = "CT" if number <= 500 else "MR"
                attributes = {"part": part, "modality": modality, **persons.get(number, nobody)}
                cases.append(ChallengeCase(case, case, image, mask, attributes))
    return cases


def _totalsegmentator(folder: Path) -> list[ChallengeCase]:
    columns = {"gender": "sex", "age": "age", "institute": "institute", "study_type": "study_type"}
    columns |= {"split": "part", "manufacturer": "manufacturer"}
    persons = _rows(_only(folder, "meta.csv"), "image_id", columns)
    nobody = dict.fromkeys(next(iter(persons.values()), {}))
    cases = []
    for case_folder in _with_files(folder, "ct.nii.gz", "ct.nii.gz"):
        masks = {
            file.name.removesuffix(".nii.gz"): file
            for file in (case_folder / "segmentations").glob("*.nii.gz")
        }
        attributes = persons.get(case_folder.name, nobody)
        cases.append(
            ChallengeCase(case_folder.name, case_folder.name, case_folder / "ct.nii.gz", masks, attributes)
        )
    return cases


def _camus(folder: Path) -> list[ChallengeCase]:
    columns = {"Sex": "sex", "Age": "age", "ImageQuality": "image_quality", "EF": "ejection_fraction"}
    cases = []
    for case_folder in sorted(folder.glob("patient*/")):
        for view in ("2CH", "4CH"):
            info = case_folder / f"Info_{view}.cfg"
            images = {
                phase: case_folder / f"{case_folder.name}_{view}_{phase}.nii.gz" for phase in ("ED", "ES")
            }
            masks = {phase: case_folder / f"{case_folder.name}_{view}_{phase}_gt.nii.gz" for phase in images}
            complete = [phase for phase in images if images[phase].is_file() and masks[phase].is_file()]
            if complete and not info.is_file():
                raise ValueError(f"{case_folder} must hold {info.name}, which has the person's attributes")
            lines = info.read_text(encoding="utf-8").splitlines() if complete else []
            entries = {key.strip(): text.strip() for key, _, text in (line.partition(":") for line in lines)}
            person = {name: entries.get(key) for key, name in columns.items()}
            for phase in complete:
                named = {"view": view, "phase": phase, **person}
                case = f"{case_folder.name}_{view}_{phase}"
                cases.append(ChallengeCase(case, case_folder.name, images[phase], masks[phase], named))
    return cases


_AMOS_LABELS = (
    *("spleen", "right kidney", "left kidney", "gall bladder", "esophagus", "liver", "stomach", "aorta"),
    *("postcava", "pancreas", "right adrenal gland", "left adrenal gland", "duodenum", "bladder"),
    "prostate/uterus",
)

CONVERTERS: dict[str, Converter] = {
    "kits23": Converter(
        "kits23.json and case_00000/imaging.nii.gz with segmentation.nii.gz (the folder dataset/)",
        "CT",
        {"kidney": 1, "tumor": 2, "cyst": 3},
        _kits23,
        "CC BY-NC-SA",
        "Heller et al., The KiTS21 Challenge, arXiv:2307.01984",
    ),
    "mnms": Converter(
        "the table ...M&Ms_Dataset_information...csv, and Training/Labeled/A0S9V9/A0S9V9_sa.nii.gz with "
        "A0S9V9_sa_gt.nii.gz",
        "cine MRI",
        {"LVBP": 1, "LVM": 2, "RVBP": 3},
        _mnms,
        "as stated where you got the data",
        "Campello et al., Multi-Centre, Multi-Vendor and Multi-Disease Cardiac Segmentation: The M&Ms "
        "Challenge, IEEE TMI 40(12), 2021",
    ),
    "amos": Converter(
        "labeled_data_meta_0000_0599.csv, imagesTr and imagesVa/amos_0001.nii.gz, labelsTr and labelsVa",
        "CT or MR",
        {name: number for number, name in enumerate(_AMOS_LABELS, start=1)},
        _amos,
        "CC BY 4.0",
        "Ji et al., AMOS: A Large-Scale Abdominal Multi-Organ Benchmark, arXiv:2206.08023",
    ),
    "camus": Converter(
        "patient0001/Info_2CH.cfg and patient0001_2CH_ED.nii.gz with patient0001_2CH_ED_gt.nii.gz (the "
        "folder database_nifti/)",
        "ultrasound",
        {"LV": 1, "LVM": 2, "LA": 3},
        _camus,
        "as stated where you got the data",
        "Leclerc et al., Deep Learning for Segmentation Using an Open Large-Scale Dataset in 2D "
        "Echocardiography, IEEE TMI 38(9), 2019",
    ),
    "totalsegmentator": Converter(
        "meta.csv and s0000/ct.nii.gz with s0000/segmentations/liver.nii.gz and so on",
        "CT",
        {},
        _totalsegmentator,
        "that of your version's record on Zenodo: they differ",
        "Wasserthal et al., TotalSegmentator, Radiology: Artificial Intelligence 5(5), 2023",
    ),
}
