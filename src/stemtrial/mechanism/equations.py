"""The equations of the joint-pain model, written once as plain arithmetic on named quantities.

The same text serves NumPy, JAX, SciPy's reference integration, SBML and the compiled solver (through
:mod:`stemtrial.mechanism.codegen`), so no second copy of a right-hand side exists anywhere in the package.
Time is in days, pain in points of 0-100, cells in millions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

Named = Any
"""Any object whose attributes are the named quantities: numbers, arrays or symbols."""

DAYS_PER_YEAR = 365.25


@dataclass(frozen=True)
class Model:
    """A system of ordinary differential equations with named parts.

    Attributes
    ----------
    name
        Short identifier.
    states
        Names of the integrated states, in order.
    patient
        Constants that differ between the patients of a group.
    shared
        Constants that all patients of a group have in common.
    inputs
        Time-dependent inputs that all patients of a group have in common.
    rates
        ``rates(x, p, u)`` with attribute access to states ``x``, constants ``p`` and inputs ``u``; returns the
        derivatives in the order of ``states``.
    """

    name: str
    states: tuple[str, ...]
    patient: tuple[str, ...]
    shared: tuple[str, ...]
    inputs: tuple[str, ...]
    rates: Callable[[Named, Named, Named], tuple[Any, ...]]


STATES = ("M", "A", "R", "P", "N", "E", "G", "C", "X", "U", "V", "B", "T")
"""Resident cells, alloimmune memory, resolving macrophages, inflammation, its brake, enzymes, progenitors,
chondrocytes, matrix, peripheral and central sensitisation, contextual response, opioid tolerance. The paracrine
factor S follows the cells at once (:func:`paracrine`)."""

PATIENT = ("k_M", "potency", "P0", "X0", "lam_X", "w_P", "w_X", "v_a", "v_U", "ctx",
           "n_steady", "n_fading", "o_steady", "o_fading")  # fmt: skip
"""Constants of one patient; the last four are the steady and the fading part of rescue medicine's effect (NSAID-type
and opioid), the fading part following the inputs ``fade_n`` and ``fade_o``."""

SHARED = (
    "k_I", "a_on", "M_A", "k_A", "M_S", "l0", "P_L", "R_b", "r_on", "k_R", "k_P", "k_N", "kappa", "b_p", "b_f",
    "n_P", "n_R", "n_S", "phi_A", "k_E", "e_b", "k_hom", "k_Gd", "k_df", "G_th", "y_C", "C_max", "sig_X", "lam_C",
    "eta", "tau_cs", "zeta", "k_U", "k_V", "x_U", "x_V", "v_oih", "k_B", "k_T", "E_op", "th_T", "allo",
)  # fmt: skip
"""Constants shared by the patients of a group; ``allo`` is 1 for donor cells, else 0."""

INPUTS = ("flare", "steroid", "ha", "nsaid", "opioid", "exercise", "route", "fade_n", "fade_o")
"""Injection flare, corticosteroid action, lubrication by hyaluronic acid, NSAID-type analgesia, opioid action,
conditioning by exercise, strength of the contextual situation (route factor), and how much is left of the fading
parts of rescue medicine since the last visit."""


def hill2(x: Any) -> Any:
    """Hill function of order 2, one at ``x = 1``: ``2 x^2 / (1 + x^2)`` (form: Baker, Brook and Owen 2017)."""
    return 2 * x * x / (1 + x * x)


def paracrine(x: Named, p: Named) -> Any:
    """Paracrine factor S of licensed resident cells; 1 is half-maximal action."""
    licensing = p.l0 + (1 - p.l0) * x.P / (x.P + p.P_L)
    return p.potency * licensing * x.M / p.M_S


def opioid_action(p: Named, u: Named) -> Any:
    """Opioid action from the schedule and from rescue medicine together."""
    return 1 - (1 - u.opioid) * (1 - p.o_steady - p.o_fading * u.fade_o)


def analgesia(p: Named, u: Named) -> Any:
    """Fraction of the peripheral drive that NSAID-type medicine leaves, scheduled and rescue together."""
    return (1 - u.nsaid) * (1 - p.n_steady - p.n_fading * u.fade_n)


def rates(x: Named, p: Named, u: Named) -> tuple[Any, ...]:
    """Time derivatives of the states, per day (MODEL section "Equations" of the documentation).

    Parameters
    ----------
    x, p, u
        States, constants (``PATIENT`` and ``SHARED``) and inputs (``INPUTS``) as attributes.

    Returns
    -------
    tuple
        Derivatives in the order of ``STATES``.
    """
    s = paracrine(x, p)
    action = s / (1 + s)
    q = x.P / p.P0
    inflamed = hill2(q)
    killing = p.allo * p.k_I * x.A * x.M
    drive = (
        (1 - p.b_p - p.b_f)
        + p.b_p * inflamed
        + p.b_f * x.E * x.X / p.X0
        + u.flare
        + p.phi_A * killing / p.M_S
    )
    brake = (1 + p.kappa) / (1 + p.kappa * x.N * x.N)
    g4 = x.G * x.G * x.G * x.G
    t4 = p.G_th * p.G_th * p.G_th * p.G_th
    differentiation = p.k_df * g4 / (g4 + t4) * x.G
    toxicity = p.tau_cs * u.steroid
    structure = (1 - p.zeta) + p.zeta * (1 - x.X) / (1 - p.X0)
    mechanics = p.w_X * structure * (1 - u.ha) * (1 - p.x_U * u.exercise)
    return (
        -p.k_M * x.M - killing,
        p.allo * p.a_on * x.M / (x.M + p.M_A) * (1 - x.A) - p.k_A * x.A,
        p.r_on * action * (1 - x.R) - p.k_R * (x.R - p.R_b),
        p.k_P * (p.P0 * drive * (1 - u.steroid) * brake - x.P),
        p.k_N * ((1 - p.n_P - p.n_R) + p.n_P * inflamed + p.n_R * x.R / p.R_b + p.n_S * action - x.N),
        p.k_E * (p.e_b + (1 - p.e_b) * inflamed - x.E),
        p.k_hom * x.M - p.k_Gd * x.G - differentiation,
        p.y_C * differentiation * (1 - x.C / p.C_max) - p.lam_C * (0.5 + 0.5 * q + toxicity) * x.C,
        p.sig_X * x.C * (1 - x.X) - p.lam_X * ((1 - p.eta) + p.eta * x.E + toxicity) * x.X,
        p.k_U * ((p.w_P * x.P + mechanics) * analgesia(p, u) - x.U),
        p.k_V * (p.v_a + p.v_U * x.U * (1 - p.x_V * u.exercise) + p.v_oih * x.T - x.V),
        p.k_B * (p.ctx * u.route - x.B),
        p.k_T * (opioid_action(p, u) - x.T),
    )


JOINT = Model("joint", STATES, PATIENT, SHARED, INPUTS, rates)
"""The model of MODEL section "Equations" of the documentation."""


def baseline(
    pain: Any, X0: Any, P0: Any, s_P: Any, s_X: Any, s_c: Any, rho_X: Any, p: Named
) -> tuple[Named, Named]:
    """Steady state of an untreated patient and the patient's derived constants, in closed form.

    Parameters
    ----------
    pain
        Latent pain at baseline, points of 0-100, strictly inside the interval.
    X0
        Matrix as a fraction of healthy, in (0, 1).
    P0
        Inflammatory activity (1 = median patient).
    s_P, s_X, s_c
        Shares of latent pain from inflammation, structure and self-sustained central sensitisation; their sum is
        below 1 and the rest is central sensitisation maintained by the periphery.
    rho_X
        Fraction of the matrix lost per day without treatment.
    p
        Shared constants ``R_b`` and ``sig_X``.

    Returns
    -------
    states, constants
        Namespaces: every derivative is zero, except those of the slow loss of matrix (``-rho_X X0``) and of
        chondrocytes (``-lam_C``).
    """
    z0 = pain / (100 - pain)
    u0 = z0 * (s_P + s_X)
    v_a = s_c * z0
    zero, one = 0 * z0, 1 + 0 * z0
    states = SimpleNamespace(
        M=zero, A=zero, R=p.R_b * one, P=P0 * one, N=one, E=one, G=zero, C=one, X=X0 * one, U=u0, V=z0 - u0, B=zero,
        T=zero,
    )  # fmt: skip
    constants = SimpleNamespace(
        P0=P0 * one,
        X0=X0 * one,
        lam_X=(p.sig_X * (1 - X0) + rho_X * X0) / X0 * one,
        w_P=s_P * z0 / P0,
        w_X=s_X * z0,
        v_a=v_a,
        v_U=(z0 - u0 - v_a) / u0,
    )
    return states, constants


def latent_pain(x: Named, p: Named, u: Named) -> Any:
    """Pain before the contextual response, 0-100: ``100 Z / (1 + Z)`` with ``Z = (U + V)`` attenuated by opioids."""
    z = (x.U + x.V) * (1 - p.E_op * opioid_action(p, u) * (1 - p.th_T * x.T))
    return 100 * z / (1 + z)


def pain(x: Named, p: Named, u: Named) -> Any:
    """Pain as felt, points of 0-100 before clipping at the ends of the scale."""
    return latent_pain(x, p, u) - x.B


def function(x: Named, p: Named, u: Named) -> Any:
    """Limitation of function, points of 0-100 (WOMAC function), before clipping; lower is better."""
    structure = p.g_F * 100 * (p.X0 - x.X)
    return p.alpha_F + p.beta_F * latent_pain(x, p, u) + structure - p.f_B * x.B - p.f_x * u.exercise


RELIEF = ("contextual", "symptomatic_drug", "inflammation", "structure", "sensitisation")
"""Parts of the relief of pain, in the order in which they are shown."""


def relief(x: Named, p: Named, u: Named) -> tuple[Any, ...]:
    """Split a patient's relief of pain since baseline into its parts, in points; they add up to it exactly.

    Latent pain falls by ``100 (Z0 - Z) / ((1 + Z0)(1 + Z))``, and ``Z0 - Z`` is a sum of what medicines take
    from the drive, of less inflammation, of the change of structure, and of sensitisation: peripheral (U not yet
    at its drive) and central (V).

    Returns
    -------
    tuple
        In the order of ``RELIEF``.
    """
    structure = (1 - p.zeta) + p.zeta * (1 - x.X) / (1 - p.X0)
    unaided = p.w_P * x.P + p.w_X * structure
    mechanics = p.w_X * structure * (1 - u.ha) * (1 - p.x_U * u.exercise)
    aided = (p.w_P * x.P + mechanics) * analgesia(p, u)
    attenuation = p.E_op * opioid_action(p, u) * (1 - p.th_T * x.T)
    u0 = p.w_P * p.P0 + p.w_X
    v0 = p.v_a + p.v_U * u0
    z0, z = u0 + v0, (x.U + x.V) * (1 - attenuation)
    points = 100 / ((1 + z0) * (1 + z))
    return (
        x.B,
        points * (unaided - aided + (x.U + x.V) * attenuation),
        points * p.w_P * (p.P0 - x.P),
        points * p.w_X * (1 - structure),
        points * ((aided - x.U) + (v0 - x.V)),
    )
