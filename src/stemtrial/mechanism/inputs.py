"""Time courses of the inputs: closed-form functions of the events of a schedule.

``evaluate`` is the only place where they are written; the batched solver tabulates it at the stage times of its grid
and the reference integration calls it at any time.
"""

import numpy as np

from stemtrial.compiled import inline, jit

INPUT_CONSTANTS = (
    "j0", "k_j", "I_max", "A50", "k_cs", "h_max", "k_a", "k_e", "eps_N", "om_N", "tau_N", "eps_para", "k_op", "k_on",
    "k_off", "route_injection", "route_programme",
)  # fmt: skip
"""Constants of the inputs, in the order in which compiled functions expect them."""

REFERENCE_DOSE_MILLION = 50.0
"""Dose at which the injection flare has the size ``j0``."""

_SLACK = 1e-9
_TINY = 1e-25
_GONE = 90.0
"""Time constants after which nothing of a flare is left that would not be cut off as tiny."""


@inline
def _join(c, dc, b, db):  # type: ignore[no-untyped-def]
    """Two fractional reductions together, ``1 - (1 - c)(1 - b)``, and their derivative."""
    return c + b - c * b, dc + db - dc * b - c * db


@inline
def _evaluate(kinds, starts, stops, amounts, p, piece, t, u, du):  # type: ignore[no-untyped-def]
    """Write what :func:`evaluate` writes, but for the fading parts of rescue medicine, which are left at 0."""
    j0, k_j, I_max, A50, k_cs, h_max, k_a, k_e = p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]
    eps_N, om_N, tau_N, eps_para, k_op, k_on, k_off = p[8], p[9], p[10], p[11], p[12], p[13], p[14]
    route_injection, route_programme = p[15], p[16]
    u[:] = 0.0
    du[:] = 0.0
    a = 0.0
    da = 0.0
    for e in range(kinds.shape[0]):
        if starts[e] > piece + _SLACK:
            continue
        kind = kinds[e]
        on = stops[e] > piece + _SLACK
        s = t - starts[e]
        if kind == 0:
            if k_j * s > _GONE:
                continue
            value = j0 * np.sqrt(amounts[e] / REFERENCE_DOSE_MILLION) * np.exp(-k_j * s)
            u[0] += value
            du[0] -= k_j * value
        elif kind == 1:
            left = np.exp(-k_cs * s)
            a += left
            da -= k_cs * left
        elif kind == 2:
            peak_time = np.log(k_a / k_e) / (k_a - k_e)
            peak = np.exp(-k_e * peak_time) - np.exp(-k_a * peak_time)
            late, early = np.exp(-k_e * s), np.exp(-k_a * s)
            u[2], du[2] = _join(u[2], du[2], (late - early) / peak, (k_a * early - k_e * late) / peak)
        elif kind == 3 and on:
            fading = np.exp(-s / tau_N)
            u[3], du[3] = _join(
                u[3], du[3], eps_N * (1 - om_N * (1 - fading)), -eps_N * om_N * fading / tau_N
            )
        elif kind == 4 and on:
            fading = np.exp(-s / tau_N)
            u[3], du[3] = _join(
                u[3], du[3], eps_para * (1 - om_N * (1 - fading)), -eps_para * om_N * fading / tau_N
            )
        elif kind == 5 and on:
            fading = np.exp(-k_op * s)
            u[4], du[4] = _join(u[4], du[4], 1 - fading, k_op * fading)
        elif kind == 6:
            if on:
                fading = np.exp(-k_on * s)
                u[5], du[5] = _join(u[5], du[5], 1 - fading, k_on * fading)
            else:
                value = (1 - np.exp(-k_on * (stops[e] - starts[e]))) * np.exp(-k_off * (t - stops[e]))
                u[5], du[5] = _join(u[5], du[5], value, -k_off * value)
        elif kind == 7:
            u[6] = max(u[6], route_injection)
        elif kind == 8 and on:
            u[6] = max(u[6], 1.0)
        elif kind == 9 and on:
            u[6] = max(u[6], route_programme)
    u[1] = I_max * a / (A50 + a)
    du[1] = I_max * A50 * da / ((A50 + a) * (A50 + a))
    u[2] *= h_max
    du[2] *= h_max


@inline
def _fade(p, piece, t, u, du):  # type: ignore[no-untyped-def]
    """Write the fading parts of rescue medicine."""
    tau_N, k_op = p[10], p[12]
    u[7] = np.exp(-(t - piece) / tau_N)
    du[7] = -u[7] / tau_N
    u[8] = np.exp(-k_op * (t - piece))
    du[8] = -k_op * u[8]


@jit
def evaluate(kinds, starts, stops, amounts, p, piece, t, u, du):  # type: ignore[no-untyped-def]
    """Write the inputs and their time derivatives at day ``t`` into ``u`` and ``du``.

    Parameters
    ----------
    kinds, starts, stops, amounts
        Events (:meth:`stemtrial.mechanism.schedule.Schedule.arrays`).
    p
        Constants in the order of ``INPUT_CONSTANTS``.
    piece
        Day on which the smooth piece that contains ``t`` began; decides which events are on.
    t
        Day; inside the piece or at its end.
    u, du
        Arrays of the length of ``equations.INPUTS``, overwritten.
    """
    _evaluate(kinds, starts, stops, amounts, p, piece, t, u, du)
    _fade(p, piece, t, u, du)


@jit
def evaluate_groups(kinds, starts, stops, amounts, constants, piece, t, out):  # type: ignore[no-untyped-def]
    """Write the inputs of every group at day ``t`` into ``out`` (groups, inputs); ``constants`` by group."""
    du = np.empty(out.shape[1])
    for g in range(out.shape[0]):
        _evaluate(kinds, starts, stops, amounts, constants[g], piece, t, out[g], du)
        _fade(constants[g], piece, t, out[g], du)


@jit
def tabulate(kinds, starts, stops, amounts, constants, piece, h, stage_times, out, fading=True):  # type: ignore[no-untyped-def]
    """Fill ``out`` (groups, steps, stage times + 1, inputs) with inputs at the stage times and, last, their derivative.

    ``constants`` is (groups, INPUT_CONSTANTS); the first step starts on day ``piece``. Without ``fading`` the fading
    parts of rescue medicine are left at 0.
    """
    n = out.shape[3]
    u, du = np.empty(n), np.empty(n)
    last = stage_times.shape[0]
    for g in range(out.shape[0]):
        t = piece
        for k in range(h.shape[0]):
            for s in range(last):
                at = t + stage_times[s] * h[k]
                _evaluate(kinds, starts, stops, amounts, constants[g], piece, at, u, du)
                if fading:
                    _fade(constants[g], piece, at, u, du)
                for i in range(n):
                    out[g, k, s, i] = u[i] if abs(u[i]) > _TINY else 0.0
                if s == 0:
                    for i in range(n):
                        out[g, k, last, i] = du[i] if abs(du[i]) > _TINY else 0.0
            t += h[k]
