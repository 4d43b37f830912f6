"""When the compiler is at work."""

import numba

from stemtrial.compiled import while_compiling


def test_the_compiler_is_announced_once_and_not_where_it_has_nothing_to_do():
    @numba.njit
    def inner(x):
        return x + 1

    @numba.njit
    def outer(x):
        return 2 * inner(x)

    told = []
    with while_compiling(told.append):
        assert outer(3) == 8
        assert told == [True, False]
        outer(4)
        assert told == [True, False]
        assert outer(1.5) == 5.0
    assert told == [True, False, True, False]
    outer(numba.float32(1))
    assert len(told) == 4
