"""Spread of persons: never less than among participants of published arms who reported equal pain before treatment.

Where the virtual persons of one trial would scatter less, their own course is widened: its deviation is multiplied by
an amplitude that depends on the month alone. A Markov course stays one, so that readings, the duration of a benefit and
the updating by visits share the same widened persons. What function then still lacks is added to its readings.
"""

from dataclasses import dataclass

from stemtrial.candidate.ensemble import Ensemble, Truth
from stemtrial.candidate.participants import Participants
from stemtrial.candidate.summaries import average, between_and_within


@dataclass(frozen=True)
class Widening:
    """Variance that is added to readings because virtual persons scatter too little, points².

    Attributes
    ----------
    months
        Months it is for.
    pain, function
        One value a month; often 0.
    """

    months: tuple[float, ...] = ()
    pain: tuple[float, ...] = ()
    function: tuple[float, ...] = ()

    def at(self, month: float) -> tuple[float, float]:
        """Return what is added to pain and to function at a month, nothing at others such as before treatment.

        Examples
        --------
        >>> Widening((3.0,), (25.0,), (4.0,)).at(3.0), Widening().at(3.0)
        ((25.0, 4.0), (0.0, 0.0))
        """
        if month not in self.months:
            return 0.0, 0.0
        index = self.months.index(month)
        return self.pain[index], self.function[index]


AS_MODELLED = Widening()
"""Nothing added."""


def widening(like: Ensemble, truth: Truth, trials: Participants) -> Widening:
    """Return what virtual persons lack, at every month of an ensemble, to scatter as participants do."""
    weight, pain, function = like.weight, [], []
    for index, month in enumerate(like.months):
        course = average(like.course_variance(month)[:, 0], weight)
        momentary = average(like.momentary_variance(month)[:, 0], weight)
        centre = truth.pain[index] + like.kept(month) * truth.fluctuation
        scatter = between_and_within(centre, weight)[2] + course + momentary
        pain.append(max(trials.residual_sd("pain") ** 2 - scatter, 0.0))

        slope, error = like.constants["beta_F"] ** 2, like.constants["sd_function"] ** 2
        own = average(slope * (like.course_variance(month)[:, 0] + pain[-1]) + error, weight)
        scatter = between_and_within(truth.function[index] + truth.function_offset, weight)[2] + own
        function.append(max(trials.residual_sd("function") ** 2 - scatter, 0.0))
    return Widening(like.months, tuple(pain), tuple(function))
