"""What stands against a greener verdict on a second model, of a kind each."""

from dataclasses import dataclass
from enum import Enum

from fairseg.statistics.verdicts import Endpoint


class GainReasonKind(Enum):
    """What stands against a greener verdict."""

    LOSS_BEYOND_MARGIN = "a group is shown to have lost more than the margin"
    POSSIBLE_HARM = "harm is not shown, but near to it"
    DROPPED_SUBJECTS = "subjects lack a score with the second model that the baseline has"
    DROPPED_STRUCTURE = "nobody has scores of a structure with the second model that the baseline has"
    UNPAIRED = "more subjects of one group than of the others lack scores of both models"
    LOST_CASES = "cases of more subjects of one group could not be scored with either model"
    SMALL_GROUP_FAILS = "a group too small to be judged newly fails, or lost much"
    UNKNOWN_GROUP_FAILS = "subjects of unknown group newly fail, or lost much"
    MEANS_DIFFER = "the groups' mean gains differ otherwise than their typical ones"
    UNJUDGED_STRUCTURE = "a structure has too few subjects to be judged"
    LOSS_ALONE = "a group is shown to have lost, and no group of the pair to have gained"
    LARGEST_GAP = "another gap of the attribute is as large as the largest was, or nearly"
    WIDER_ELSEWHERE = "a smaller gap of the attribute is wider, though neither of its groups lost"
    GROWN_ELSEWHERE = "another gap of the attribute is shown now, and grew"
    AHEAD_ELSEWHERE = "who gained more was ahead in another endpoint, or in the mean"
    BEHIND_IN_MEAN = "who typically gained more was behind in the mean, and is behind still, by less"
    LOWEST_LOST = "the lowest scores of a group are lower than they were"
    STRATA = "strata too small"
    TYPICAL_OPPOSES = "the other group typically gained more, by more than does not matter"
    REMAINING_MARGIN = "limits reach beyond the margin"
    HIDDEN_TENTH = "equal scores hide who is among the hardest tenth with one of the models"


@dataclass(frozen=True)
class GainReason:
    """What stands against a greener verdict, and where; None where it is not about one.

    `beside` is the first group of the pair whose second one is `group`, where another pair is meant.
    """

    kind: GainReasonKind
    group: str | None = None
    structure: str | None = None
    endpoint: Endpoint | None = None
    beside: str | None = None
