"""Rosenbrock methods: linearly implicit Runge-Kutta steps that need one factorisation and no iteration.

Coefficients in the transformed form of Hairer and Wanner, *Solving Ordinary Differential Equations II* (1996),
section IV.7: stage ``i`` solves ``(I/(h gamma) - J) k_i = f(t + alpha_i h, y + sum a_ij k_j) + sum c_ij k_j / h +
g_i h df/dt`` and the step is ``y + sum m_i k_i``.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """Coefficients of a Rosenbrock method; ``evaluate[i]`` is false where stage ``i`` reuses the last ``f``."""

    name: str
    order: int
    gamma: float
    a: tuple[tuple[float, ...], ...]
    c: tuple[tuple[float, ...], ...]
    m: tuple[float, ...]
    alpha: tuple[float, ...]
    g: tuple[float, ...]
    evaluate: tuple[bool, ...]

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.m)

    @property
    def times(self) -> tuple[float, ...]:
        """Distinct stage times at which inputs are needed, as fractions of the step; the first is 0."""
        used = [a for a, e in zip(self.alpha, self.evaluate, strict=True) if e]
        return tuple(dict.fromkeys(used))

    @property
    def time_index(self) -> tuple[int, ...]:
        """Index into ``times`` for every stage (of the last evaluated stage where none is made)."""
        index, last = [], 0
        for a, e in zip(self.alpha, self.evaluate, strict=True):
            last = self.times.index(a) if e else last
            index.append(last)
        return tuple(index)


ROS2 = Method(
    "ros2", 2, 1 - 0.5**0.5, ((), (1 / (1 - 0.5**0.5),)), ((), (-2 / (1 - 0.5**0.5),)),
    (1.5 / (1 - 0.5**0.5), 0.5 / (1 - 0.5**0.5)), (0.0, 1.0), (1 - 0.5**0.5, -(1 - 0.5**0.5)), (True, True),
)  # fmt: skip
"""Second order, L-stable, two stages (Verwer et al. 1999)."""

ROS3 = Method(
    "ros3", 3, 0.43586652150845899941601945119356,
    ((), (1.0,), (1.0, 0.0)),
    ((), (-1.0156171083877702091975600115545,), (4.0759956452537699824805835358067, 9.2076794298330791242156818474003)),
    (1.0, 6.1697947043828245592553615689730, -0.4277225654321857332623837380651),
    (0.0, 0.43586652150845899941601945119356, 0.43586652150845899941601945119356),
    (0.43586652150845899941601945119356, 0.24291996454816804366592249683314, 2.1851380027664058511513169485832),
    (True, True, False),
)  # fmt: skip
"""Third order, L-stable, three stages, two evaluations (Sandu et al. 1997)."""

RODAS3 = Method(
    "rodas3", 3, 0.5, ((), (0.0,), (2.0, 0.0), (2.0, 0.0, 1.0)), ((), (4.0,), (1.0, -1.0), (1.0, -1.0, -8 / 3)),
    (2.0, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0), (0.5, 1.5, 0.0, 0.0), (True, False, True, True),
)  # fmt: skip
"""Third order, stiffly accurate, four stages, three evaluations (Sandu et al. 1997)."""

ROS4 = Method(
    "ros4", 4, 0.57282,
    ((), (2.0,), (1.867943637803922, 0.2344449711399156), (1.867943637803922, 0.2344449711399156, 0.0)),
    ((), (-7.137615036412310,), (2.580708087951457, 0.6515950076447975),
     (-2.137148994382534, -0.3214669691237626, -0.6949742501781779)),
    (2.255570073418735, 0.2870493262186792, 0.4353179431840180, 1.093502252409163),
    (0.0, 1.14564, 0.65521686381559, 0.65521686381559),
    (0.57282, -1.769193891319233, 0.7592633437920482, -0.1049021087100450), (True, True, True, False),
)  # fmt: skip
"""Fourth order, L-stable, four stages, three evaluations (Hairer and Wanner 1996)."""

RODAS4 = Method(
    "rodas4", 4, 0.25,
    ((), (1.544,), (0.9466785280815826, 0.2557011698983284), (3.314825187068521, 2.896124015972201, 0.9986419139977817),
     (1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950),
     (1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950, 1.0)),
    ((), (-5.6688,), (-2.430093356833875, -0.2063599157091915),
     (-0.1073529058151375, -9.594562251023355, -20.47028614809616),
     (7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160),
     (8.083246795921522, -7.981132988064893, -31.52159432874371, 16.31930543123136, -6.058818238834054)),
    (1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950, 1.0, 1.0),
    (0.0, 0.386, 0.21, 0.63, 1.0, 1.0), (0.25, -0.1043, 0.1035, -0.0362, 0.0, 0.0), (True,) * 6,
)  # fmt: skip
"""Fourth order, stiffly accurate, six stages (Hairer and Wanner 1996)."""

METHODS = (ROS2, ROS3, RODAS3, ROS4, RODAS4)

DEFAULT = ROS3
"""The method of the shipped solver; chosen by work at equal accuracy (see the documentation's theory pages)."""
