"""Is the group read where it is, and nowhere else? `fairseg.understand` on phantoms whose answer is known.

    python benchmarks/understand.py --seeds 5            # the table of docs/understand.md
    python benchmarks/understand.py --null 200 --permutations 199  # how often chance is called readable
    python benchmarks/understand.py --null-dice 300      # how often made-up Dice is said to go with a view
    python benchmarks/understand.py --null-changes 300   # how often chance is called use
    python benchmarks/understand.py --coverage 200       # how often the limits of an AUC hold the truth
    python benchmarks/understand.py --intervention       # what a network goes by, and what it does without

One cohort takes a minute or two of a core. The null draws cohorts from the people of several phantoms without
any shift, and deals them into two groups.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter
from scipy.stats import mannwhitneyu

import fairseg
from fairseg.datasets import SHIFT, Shift, write_phantom
from fairseg.statistics.effects import auc_limits
from fairseg.training import Settings, train
from fairseg.training.raw import plain_labels, read_raw
from fairseg.understanding import read_groups, views
from fairseg.understanding.associations import associations
from fairseg.understanding.changes import change_with_limits, with_holm
from fairseg.understanding.intervention import _donors
from fairseg.understanding.readability import PERMUTATIONS, Model
from fairseg.understanding.views import CasePaths, make_frame, subject_views

COHORTS = {
    "all shifts": SHIFT,
    "brightness and heart off": SHIFT.without(["brightness", "heart"]),
    "heart only": Shift(heart=SHIFT.heart),
    "no shift": Shift(),
}
# Made-up Dice: the standard deviation of what an outside costs everybody, the share of pairs that fail.
DICE = {
    "no donor matters": (0.0, 0.0),
    "donors matter": (0.05, 0.0),
    "failures": (0.01, 0.01),
    "both": (0.05, 0.05),
}
SHOWN = (views.WHOLE, views.box_name(20.0), views.OUTSIDE, views.ORGAN, views.LEAK, views.MASK)


def cohort_views(shift: Shift, seed: int, number: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Draw a cohort of two groups, and return its views and the group of each subject."""
    with tempfile.TemporaryDirectory() as folder:
        sizes = {"A": number, "B": number}
        write_phantom(folder, subjects=sizes, test_subjects=0, shift=shift, seed=seed)
        raw = read_raw(folder)
        table = pd.read_csv(Path(folder) / "groups.csv").set_index("case").loc[list(raw.images)]
        cases = [CasePaths(name, raw.images[name], raw.masks[name]) for name in raw.images]
        frame = make_frame(cases, plain_labels(raw, "this benchmark"), (0.0, 5.0, 10.0, 20.0, 40.0))
        names, found = subject_views(cases, table["subject"].tolist(), frame)
    groups = table.drop_duplicates("subject").set_index("subject").loc[names, "group"]
    return found, (groups == "B").to_numpy().astype(np.int64)


def read_of(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the views that are read."""
    return {name: view for name, view in found.items() if name not in views.NOT_READ}


def table(cohorts: list[str], seeds: int, number: int, permutations: int, model: Model) -> None:
    """Print the AUC of each view and cohort, and in how many seeds the group is shown to be readable."""
    for name in cohorts:
        aucs, shown, seconds = [], [], []
        for seed in range(seeds):
            found, ids = cohort_views(COHORTS[name], seed, number)
            found = read_of(found)
            start = time.process_time()
            options = {"model": model, "permutations": permutations, "seed": seed}
            readings = read_groups(found, ids, ["A", "B"], **options)
            seconds.append(time.process_time() - start)
            rows = {row.view: row for row in readings.rows}
            aucs.append([rows[view].auc for view in SHOWN])
            shown.append([rows[view].shown for view in SHOWN])
        middle, least, most = (how(aucs, axis=0) for how in (np.mean, np.min, np.max))
        cells = [
            f"{view}: {auc:.3f}, {low:.3f} to {high:.3f} ({count}/{seeds})"
            for view, auc, low, high, count in zip(
                SHOWN, middle, least, most, np.sum(shown, axis=0), strict=True
            )
        ]
        print(f"{name}: {'; '.join(cells)}; {np.mean(seconds):.0f} s of a core", flush=True)


def null(cohorts: int, number: int, permutations: int, people: int) -> None:
    """Print how often any view is called readable where groups are dealt to people at random."""
    found = read_of(cohort_views(Shift(), 1000, people // 2)[0])
    rng = np.random.default_rng(0)
    wrong = 0
    for cohort in range(cohorts):
        chosen = rng.permutation(people)[: 2 * number]
        own = {name: view[chosen] for name, view in found.items()}
        ids = np.repeat([0, 1], number)
        rows = read_groups(own, ids, ["A", "B"], permutations=permutations, seed=cohort).rows
        wrong += any(row.shown for row in rows)
        print(f"{wrong} of {cohort + 1} cohorts called readable", flush=True)


def coverage(cohorts: int) -> None:
    """Print how often limits hold the AUC that the model has which is trained on all, in 4,000 new subjects.

    Views are smooth noise of 20 by 20 pixels, or 12 numbers, whose groups differ in a patch or in two by
    `shift` standard deviations.
    """
    for image in (True, False):
        for sizes in ((15, 15), (30, 30), (60, 60), (120, 120), (15, 60)):
            for shift in (0.0, 0.25, 0.5, 0.75):
                aucs = np.array([read_and_truth(np.random.default_rng([seed, *sizes]), sizes, shift, image)
                                 for seed in range(cohorts)])  # fmt: skip
                auc, low, high, true = aucs.T
                scores = np.array([auc_limits(one, *sizes) for one in auc])
                wrong = [100 * np.mean(one) for one in (high < true - 1e-9, low > true + 1e-9)]
                before = 100 * np.mean((scores[:, 0] <= true) & (true <= scores[:, 1]))
                print(
                    f"{'image' if image else 'numbers'}, {sizes[0]} + {sizes[1]}, {shift:g}: "
                    f"true {true.mean():.2f}, out of fold {auc.mean():.2f}; upper too low {wrong[0]:.1f}%, "
                    f"lower too high {wrong[1]:.1f}%, hold it {100 - sum(wrong):.1f}% (of scores as they are "
                    f"{before:.1f}%); 0.7 excluded {100 * np.mean(high < 0.7):.0f}%, wrongly "
                    f"{100 * np.mean((high < 0.7) & (true >= 0.7)):.1f}%",
                    flush=True,
                )


def read_and_truth(
    rng: np.random.Generator, sizes: tuple[int, int], shift: float, image: bool
) -> tuple[float, float, float, float]:
    """Draw a cohort; return its AUC with limits, and that of the model of all in new subjects."""

    def draw(ids: np.ndarray) -> np.ndarray:
        away = shift * (ids - 0.5)
        if not image:
            view = rng.normal(size=(len(ids), 12))
            view[:, :2] += away[:, None]
            return view
        view = gaussian_filter(rng.normal(size=(len(ids), 20, 20)), (0, 2, 2))
        view /= view.std()
        view[:, 6:11, 6:11] += away[:, None, None]
        return view[:, None]

    ids, fresh = np.repeat([0, 1], sizes), np.repeat([0, 1], 2000)
    view, new = draw(ids), draw(fresh)
    row = read_groups({"v": view}, ids, ["A", "B"], permutations=60).rows[0]
    middle, spread = view.mean(axis=0), 1.0 if image else view.std(axis=0)
    flat, unseen = (((one - middle) / spread).reshape(len(one), -1) for one in (view, new))
    left, size, right = np.linalg.svd(flat, full_matrices=False)
    size = size[:40]
    weights = right[:40].T @ (size / (size**2 + (size**2).mean()) * (left[:, :40].T @ (ids - ids.mean())))
    scores = unseen @ weights
    return (
        row.auc,
        row.low,
        row.high,
        float(mannwhitneyu(scores[fresh == 1], scores[fresh == 0])[0] / 2000**2),
    )


def null_dice(cohorts: int, number: int, permutations: int) -> None:
    """Print how often Dice that is made up is said to go with what tells the groups, of one cohort's images.

    Noise, and failures, alike in everybody; the Dice that errors of about a pixel leave; and Dice that falls
    with the first component of the outside, within the groups.
    """
    found, ids = cohort_views(SHIFT, 0, number)
    read, one_pixel = read_of(found), found[views.ONE_PIXEL][:, 0].astype(np.float64)
    readings = read_groups(read, ids, ["A", "B"], permutations=199)
    outside = found[views.OUTSIDE].reshape(len(ids), -1).astype(np.float64)
    for group in (0, 1):
        outside[ids == group] -= outside[ids == group].mean(axis=0)
    body = np.linalg.svd(outside, full_matrices=False)[0][:, 0] * np.sqrt(len(ids))
    kinds = {
        "noise": lambda rng: rng.normal(0.9, 0.02, len(ids)),
        "failures": lambda rng: 0.9 - 0.5 * (rng.random(len(ids)) < 0.1) + rng.normal(0, 0.01, len(ids)),
        "one pixel": lambda rng: 1 - rng.uniform(0.5, 1.5, len(ids)) * (1 - one_pixel),
        "the outside": lambda rng: 0.9 - 0.02 * body + rng.normal(0, 0.02, len(ids)),
    }
    for kind, draw in kinds.items():
        counts = np.zeros(3, dtype=int)
        for cohort in range(cohorts):
            dice = draw(np.random.default_rng(cohort))
            scores, predictions = associations(
                readings, read, dice, ids, ["A", "B"],
                one_pixel=one_pixel, permutations=permutations, seed=cohort,
            )  # fmt: skip
            shown = [one for one in (*scores, *predictions) if one.shown]
            told = any(one.shown for one in scores), bool(shown), any(not one.of_size for one in shown)
            counts += np.array(told)
        print(f"{kind}: {counts[0]} by a score, {counts[1]} by either, {counts[2]} beyond size, of {cohorts}")


def null_changes(cohorts: int) -> None:
    """Print how often the network is said to go by the outside where groups are alike; Dice is made up."""
    for sizes in ((24, 24), (10, 10), (40, 10), (100, 6), (20, 15, 10)):
        for kind, (lending, failing) in DICE.items():
            rng = np.random.default_rng(0)
            shown = sum(alike_shown(rng, sizes, lending, failing) for _ in range(cohorts))
            print(f"{' + '.join(map(str, sizes))}, {kind}: {shown} of {cohorts}", flush=True)


def alike_shown(rng: np.random.Generator, sizes: tuple[int, ...], lending: float, failing: float) -> bool:
    """Draw the Dice of subjects of alike groups with the outside of donors, and say whether use is shown.

    An outside costs everybody some Dice (standard deviation `lending`), subjects mind it more or less, and a
    share `failing` of all pairs fails.
    """
    ids = np.repeat(np.arange(len(sizes)), sizes)
    partners = {group: list(range(1, len(sizes))) if group == 0 else [0] for group in range(len(sizes))}
    donors = _donors(ids, partners, rng)
    exchanged = rng.normal(0, lending, ids.size)
    minds = np.exp(rng.normal(0, 0.8, ids.size))[:, None]
    rows = []
    for change, lent in (("exchanged", exchanged), ("matched", rng.normal(exchanged, lending))):
        pairs = rng.normal(0, 0.01, (ids.size, ids.size))
        pairs -= (rng.random(pairs.shape) < failing) * rng.uniform(0.2, 0.8, pairs.shape)
        dice = np.minimum(0.9 + minds * lent + pairs, 1.0)
        for group, others in partners.items():
            for partner in others:
                made = [
                    (subject, own, other)
                    for subject in np.flatnonzero(ids == group).tolist()
                    for own, other in zip(donors[subject, group], donors[subject, partner], strict=True)
                ]
                subjects, own, other = np.transpose(made)
                moved = dice[subjects, other] - dice[subjects, own]
                found = change_with_limits(moved, subjects, own, other)
                rows.append((change, str(group), str(partner), sizes[group], 0.9, 0.0, found))
    return any(row.shown for row in with_holm(rows))


def intervention(seeds: int) -> None:
    """Print what a baseline goes by, and what becomes of its gap if the fat is really switched off."""
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            grid = {"shape": (64, 64), "spacing": 4.0, "slices": 3}
            for name, shift in (("fat", Shift(fat=SHIFT.fat)), ("lean", Shift())):
                sizes = {"White": 60, "Black": 2}
                write_phantom(root / name, subjects=sizes, test_subjects=24, shift=shift, **grid, seed=seed)
            recipe = {"features": 8, "most_features": 64, "batch_size": 4, "validation": 0.05}
            recipe |= {"learning_rate": 0.1, "momentum": 0.9, "epochs": 1, "steps": 150, "device": "cpu"}
            settings = Settings(by=("group",), **recipe, seed=seed)
            train(root / "fat", root / "run", settings)
            gaps = {}
            for name in ("lean", "fat"):
                result = fairseg.understand(root / name, "group", "White", run=root / "run", test=True)
                dice, ids = result.intervention.dice, result.cohort.ids
                gaps[name] = dice[ids == 0].mean() - dice[ids == 1].mean()
            print(
                f"seed {seed}: gap {gaps['fat']:.3f}, really without the fat {gaps['lean']:.3f}", flush=True
            )
            for one in result.intervention.changes:
                change = "{:+.3f} ({:+.3f} to {:+.3f})".format(*one.change)
                print(f"  {one.intervention}: {one.group} by {one.donors or 'nothing'}: {change}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--subjects", type=int, default=60, help="of each group")
    parser.add_argument("--cohort", action="append", choices=COHORTS)
    parser.add_argument("--model", default="linear", choices=PERMUTATIONS)
    parser.add_argument("--permutations", type=int, default=1000)
    parser.add_argument("--null", type=int, default=0, metavar="COHORTS")
    parser.add_argument("--people", type=int, default=600, help="that the cohorts of --null are drawn from")
    parser.add_argument("--null-dice", type=int, default=0, metavar="COHORTS")
    parser.add_argument("--null-changes", type=int, default=0, metavar="COHORTS")
    parser.add_argument("--coverage", type=int, default=0, metavar="COHORTS")
    parser.add_argument("--intervention", action="store_true")
    given = parser.parse_args()
    if given.intervention:
        intervention(given.seeds)
    elif given.coverage:
        coverage(given.coverage)
    elif given.null_changes:
        null_changes(given.null_changes)
    elif given.null_dice:
        null_dice(given.null_dice, given.subjects, given.permutations)
    elif given.null:
        null(given.null, given.subjects, given.permutations, given.people)
    else:
        cohorts = given.cohort or list(COHORTS)
        table(cohorts, given.seeds, given.subjects, given.permutations, given.model)
