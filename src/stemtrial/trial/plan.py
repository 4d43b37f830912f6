"""A trial made ready to simulate: its arms' schedules, patients, conduct, readings and analyses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from stemtrial import scales
from stemtrial.calibration.belief import Belief, belief
from stemtrial.errors import InputError, Problem
from stemtrial.mechanism.schedule import Kind, Schedule, schedule
from stemtrial.population.patients import Constants, Patients, People, enrol
from stemtrial.simulation import STANDARD_NUMERICS, Numerics, begin
from stemtrial.trial.analysis import Comparison, ancova
from stemtrial.trial.capability import unavailable
from stemtrial.trial.conduct import EVERYTHING, INSTRUMENTS, ArmRecord, Chance, Wanted, conduct_arm
from stemtrial.trial.crossing import Crossing
from stemtrial.trial.looks import Looks, Verdict
from stemtrial.trial.mmrm import mmrm
from stemtrial.trial.protocol import Conduct, Trial
from stemtrial.trial.question import Estimand
from stemtrial.trial.randomisation import Places, randomise
from stemtrial.trial.recruitment import ARM_STRIDE
from stemtrial.trial.stratified import stratified_ancova, stratified_mmrm

SMALL_SAMPLE: Final = "kenward_roger"
"""Standard error and degrees of freedom of the mixed model for repeated measures."""


@dataclass(frozen=True)
class Cast:
    """Patients of an arm and what chance does to them; the same in every scenario.

    ``places`` are those of a declared randomisation; without one, every patient drawn is in the trial.
    """

    people: People
    chance: Chance
    arm: str
    places: Places | None = None


@dataclass(frozen=True)
class Plan:
    """A trial made ready to simulate.

    Attributes
    ----------
    trial
        The protocol.
    schedules
        By arm, in the order in which arms are shown.
    inert
        The same with what is under question doing nothing: the cells, or else whatever the experimental arm has and
        the comparator lacks. Only arms that change are in it.
    mcid
        Smallest important change of the endpoint, points of 0-100.
    belief
        Where the constants come from.
    numerics
        Time grid and floating-point type.
    """

    trial: Trial
    schedules: dict[str, Schedule]
    inert: dict[str, Schedule]
    mcid: scales.ImportantDifference
    belief: Belief
    numerics: Numerics = STANDARD_NUMERICS

    @classmethod
    def of(cls, trial: Trial, numerics: Numerics = STANDARD_NUMERICS, known: Belief | None = None) -> "Plan":
        """Make a trial ready, with what is known for its indication unless another belief is given.

        Raises
        ------
        InputError
            For what this version cannot simulate or analyse.
        """
        if problems := list(unavailable(trial)):
            raise InputError(*problems)
        schedules = {name: schedule(trial.arms[name].treatments) for name in trial.ordered_arms}
        experimental, comparator = schedules[trial.experimental], schedules[trial.comparator]
        under_question = {Kind.CELLS} & experimental.actions or experimental.actions - comparator.actions
        inert = {n: s.without(under_question) for n, s in schedules.items() if under_question & s.actions}
        mcid = scales.mcid(trial.question.endpoint.instrument, trial.indication)
        if mcid is None:
            raise InputError(
                Problem("has no important difference on record", field="question.endpoint.instrument",
                        value=trial.question.endpoint.instrument)
            )  # fmt: skip
        return cls(trial, schedules, inert, mcid, known or belief(trial.indication), numerics)

    def first_patient(self, arm: str) -> int:
        """Identity of the first patient of an arm."""
        return list(self.schedules).index(arm) * ARM_STRIDE

    def cast(self, arm: str, seed: int, replicates: np.ndarray, visits: int | None = None) -> Cast:
        """Draw the patients of an arm and their chance, for the trial's visits or another number of visits."""
        return self.casts(seed, replicates, visits, (arm,))[arm]

    def casts(
        self,
        seed: int,
        replicates: np.ndarray,
        visits: int | None = None,
        arms: Iterable[str] | None = None,
    ) -> dict[str, Cast]:
        """Draw the patients of arms and their chance; arguments as for :meth:`cast`, all arms unless some are named."""
        trial = self.trial
        places = randomise(trial, seed, replicates) if trial.randomisation is not None else {}
        windows = trial.conduct.visit_window_days is not None and visits is None
        readings = len(trial.visits_months) if visits is None else visits
        drawn = {}
        for arm in self.schedules if arms is None else arms:
            own = places.get(arm)
            first = self.first_patient(arm) if own is None else own.identities
            n = trial.arms[arm].n if own is None else own.taken.shape[1]
            people = People.draw(trial.population, seed, replicates, first, n)
            chance = Chance.draw(readings, seed, replicates, first, n, windows)
            drawn[arm] = Cast(people, chance, arm, own)
        return drawn

    @cached_property
    def looks(self) -> Looks:
        """When the trial is looked at and by which bounds it stops."""
        return Looks.of(self.trial.question)

    def changes(self, arm: str) -> bool:
        """Whether an arm is another one when what is under question does nothing."""
        rule = self.trial.conduct.crossover
        return arm in self.inert or (rule is not None and arm == rule.from_arm and rule.to_arm in self.inert)

    @property
    def adjusted(self) -> bool:
        """Whether comparisons are adjusted for the strata of the randomisation."""
        return self.trial.randomisation is not None and bool(self.trial.randomisation.adjusted)

    @property
    def compared(self) -> tuple[str, ...]:
        """Arms that the question names, in the order in which arms are shown."""
        question = self.trial.question
        named = {name for pair in question.comparisons for name in pair}
        named |= set(question.factorial.arms if question.factorial else ())
        named |= set(question.dose_response.arms if question.dose_response else ())
        return tuple(name for name in self.schedules if name in named)

    @property
    def main_visit(self) -> int:
        """Index of the endpoint's visit."""
        return self.trial.visits_months.index(self.trial.question.endpoint.month)

    @property
    def instruments(self) -> tuple[str, ...]:
        """What the analyses read: pain, on which conduct rests, the endpoint, and function for who responds."""
        endpoint, secondary = self.trial.question.endpoint.instrument, self.trial.question.secondary
        read = {"VAS", endpoint, *(("WOMAC_function",) if secondary is not None else ())}
        return tuple(name for name in INSTRUMENTS if name in read)

    def enrol(self, cast: Cast, constants: Constants) -> Patients:
        """Give the patients of an arm their biology; it is the same if what is under question does nothing."""
        own_cells = self.schedules[cast.arm].allogeneic is False
        return enrol(cast.people, constants, autologous=own_cells)

    def follow(
        self,
        cast: Cast,
        schedule: Schedule,
        constants: Constants,
        visits: Sequence[float] | None = None,
        estimand: Estimand | None = None,
        *,
        inert: bool = False,
        wanted: Wanted = EVERYTHING,
        patients: Patients | None = None,
    ) -> ArmRecord:
        """Simulate an arm on a schedule, measured at the trial's visits or at other months that include them.

        Under the hypothetical estimand, that of the trial unless another is named, nobody takes rescue medicine and no
        other intercurrent event happens. ``inert`` says that what is under question does nothing to those either who
        cross over to it. ``patients`` are those of the cast where they have been enrolled with these constants already
        (:meth:`enrol`).
        """
        patients = patients or enrol(cast.people, constants, autologous=schedule.allogeneic is False)
        protocol = self.trial.visits_months
        rules = self._conduct(cast.arm, estimand or self.trial.question.estimand)
        record = conduct_arm(
            begin(patients, schedule, constants, self.numerics),
            patients,
            constants,
            visits or protocol,
            protocol,
            self.trial.question.endpoint.month,
            rules,
            cast.chance,
            self._crossing(cast, rules, schedule, constants, inert),
            wanted,
        )
        return record if cast.places is None else record.of(cast.places)

    def _crossing(
        self, cast: Cast, rules: Conduct, schedule: Schedule, constants: Constants, inert: bool
    ) -> Crossing | None:
        """Gain of the patients of an arm who cross over, if they may."""
        rule = rules.crossover
        if rule is None or rule.from_arm != cast.arm:
            return None
        other = self.schedules[rule.to_arm]
        if inert:
            other = self.inert.get(rule.to_arm, other)
        horizon = self.trial.horizon_months
        return Crossing.of(rule, cast.people, (schedule, other), constants, self.numerics, horizon)

    def _conduct(self, arm: str, estimand: Estimand) -> Conduct:
        """Rules of an arm; the hypothetical estimand asks what would be without intercurrent events."""
        rules = self.trial.conduct
        own: dict[str, object] = {"dropout_by_month_12": rules.dropout(arm)}
        if estimand == "hypothetical":
            own |= {"rescue_analgesia": None, "events": (), "crossover": None}
        if rules.unblinding is not None and arm != self.trial.comparator:
            own["unblinding"] = rules.unblinding.model_copy(update={"points": -rules.unblinding.points})
        return rules.model_copy(update=own)

    def reading(
        self, arm: ArmRecord, visit: int, estimand: Estimand | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the endpoint at a visit and at baseline, 0-100, as the estimand wants it.

        A numeric rating scale knows whole tens only. Under the composite estimand a patient who has begun rescue
        medicine, or had another intercurrent event, counts as not improved; while on treatment, the last reading before
        it counts.

        Parameters
        ----------
        arm
            What was seen.
        visit
            Index of the visit.
        estimand
            That of the trial unless another is named.
        """
        question = self.trial.question
        estimand = estimand or question.estimand
        nrs = question.endpoint.instrument == "NRS"
        name = "VAS" if nrs else question.endpoint.instrument
        outcome, baseline = arm.readings[name][visit], arm.baseline[name]
        if estimand == "while_on_treatment":
            last = self._on_treatment(arm, visit)
            course = np.concatenate([baseline[None], arm.readings[name][: visit + 1]])
            outcome = np.take_along_axis(course, last[None], axis=0)[0]
        if nrs:
            outcome, baseline = np.round(outcome, -1), np.round(baseline, -1)
        if estimand == "composite":
            outcome = np.where(arm.disturbed[visit], np.maximum(outcome, baseline), outcome)
        return outcome, baseline

    def seen(self, arm: ArmRecord, visit: int, estimand: Estimand | None = None) -> np.ndarray:
        """Whether a trial knows the reading that counts at a visit, (groups, patients)."""
        if (estimand or self.trial.question.estimand) != "while_on_treatment":
            return np.asarray(arm.present[visit])
        present = np.concatenate([arm.taken[None], arm.present[: visit + 1]])
        return np.asarray(np.take_along_axis(present, self._on_treatment(arm, visit)[None], axis=0)[0])

    @staticmethod
    def _on_treatment(arm: ArmRecord, visit: int) -> np.ndarray:
        """Last visit at which no intercurrent event had begun, counted from 1; 0 is the baseline."""
        return np.asarray((~arm.disturbed[: visit + 1]).sum(axis=0))

    def analyse(
        self,
        comparator: ArmRecord,
        experimental: ArmRecord,
        n: tuple[int, int] | None = None,
        estimand: Estimand | None = None,
        visits: Sequence[int] | None = None,
        complete: bool = False,
        entrants: int | None = None,
    ) -> tuple[Comparison, ...]:
        """Compare two arms by the trial's analysis.

        Parameters
        ----------
        comparator, experimental
            What was seen.
        n
            Analyse only so many of the first patients of each arm.
        estimand
            That of the trial unless another is named.
        visits
            Indices of the visits at which to compare; every visit unless given.
        complete
            Whether to analyse as if nobody had left.
        entrants
            Analyse only so many patients of the trial, the first to enter; of a declared randomisation.

        Returns
        -------
        tuple of Comparison
            One a visit.
        """
        wanted = range(len(self.trial.visits_months)) if visits is None else visits
        repeated = self.trial.question.analysis == "mmrm"
        used = range(len(self.trial.visits_months)) if repeated else wanted
        arms = (comparator, experimental)
        first = n or (comparator.present.shape[2], experimental.present.shape[2])
        both = [[self.reading(arm, v, estimand) for v in used] for arm in arms]
        y = tuple([outcome[:, :k] for outcome, _ in r] for r, k in zip(both, first, strict=True))
        x = tuple(r[0][1][:, :k] for r, k in zip(both, first, strict=True))
        seen = tuple(
            [
                ((arm.taken if complete else self.seen(arm, v, estimand)) & _entered(arm, entrants))[:, :k]
                for v in used
            ]
            for arm, k in zip(arms, first, strict=True)
        )
        strata = tuple(
            arm.places.stratum[:, :k] for arm, k in zip(arms, first, strict=True) if arm.places is not None
        )
        adjusted = self.adjusted and len(strata) == 2
        if repeated:
            over_time = [(np.stack(a), np.stack(b)) for a, b in (y, seen)]
            structure = self.trial.question.structure
            joint = (
                stratified_mmrm(
                    over_time[0], (x[0], x[1]), over_time[1], (strata[0], strata[1]), SMALL_SAMPLE, structure
                )
                if adjusted
                else mmrm(over_time[0], (x[0], x[1]), over_time[1], SMALL_SAMPLE, structure=structure)
            )
            return tuple(
                Comparison(joint.estimate[:, v], joint.se[:, v], joint.df[:, v], joint.p[:, v])
                for v in wanted
            )
        if adjusted:
            return tuple(
                stratified_ancova((y[0][i], y[1][i]), x, (seen[0][i], seen[1][i]), strata)
                for i in range(len(wanted))
            )
        return tuple(
            ancova((y[0][i], y[1][i]), (x[0], x[1]), (seen[0][i], seen[1][i])) for i in range(len(wanted))
        )

    def verdict(
        self,
        comparator: ArmRecord,
        experimental: ArmRecord,
        estimand: Estimand | None = None,
        final: Comparison | None = None,
    ) -> Verdict:
        """Look at the main visit as often as the question wants and stop by its bounds.

        Parameters
        ----------
        comparator, experimental
            What was seen; the first patients of each arm are those recruited first. With a declared randomisation a
            look has the first patients of the trial, whatever their arms.
        estimand
            That of the trial unless another is named.
        final
            Analysis of all patients, where it is known already.
        """
        if self.trial.randomisation is not None:
            last = final or self.analyse(comparator, experimental, None, estimand, [self.main_visit])[0]
            first = [
                self.analyse(comparator, experimental, None, estimand, [self.main_visit], entrants=n)[0]
                for (n,) in self.looks.patients([self.trial.n])[:-1]
            ]
            return self.looks.end([*first, last])

        def compare(n: tuple[int, int] | None) -> Comparison:
            if n is None and final is not None:
                return final
            return self.analyse(comparator, experimental, n, estimand, [self.main_visit])[0]

        return self.looks.verdict(compare, (comparator.present.shape[2], experimental.present.shape[2]))

    def gains(self, record: ArmRecord, constants: Constants) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean true improvement of the endpoint by context, and in all, in points, (replicates,) each."""
        context, total = record.mean(record.relief[0]), record.mean(record.relief.sum(axis=0))
        match self.trial.question.endpoint.instrument:
            case "WOMAC_pain":
                return constants["womac_slope"] * context, constants["womac_slope"] * total
            case "WOMAC_function":
                return constants["f_B"] * context, record.mean(record.function_gain)
            case _:
                return context, total


def _entered(arm: ArmRecord, entrants: int | None) -> np.ndarray:
    """Whether patients are among the first so many of the trial, (groups, patients)."""
    if entrants is None or arm.places is None:
        return np.asarray(True)
    return np.asarray(arm.places.entrant < entrants)
