"""Pins the clock and the entropy of a kernel; run in it as a cell, never on the host.

`_pin(clock, entropy)` makes the clock start there and tick a millisecond at each look, and makes
the operating system's random bytes follow from a seed. Not pinned: clocks that C code reads by
itself (SQL's `CURRENT_TIMESTAMP`), threads, addresses, subprocesses.
"""

# mypy: ignore-errors
# ruff: noqa: PLC0415 (a cell: what it imports must not stay in the kernel's variables)


def _pin(clock, entropy):
    import datetime
    import os
    import random
    import secrets
    import sys
    import time
    import uuid

    state = {"now": float(clock), "perf": 0.0}
    bytes_of = random.Random(entropy).randbytes

    def now():
        state["now"] += 0.001
        return state["now"]

    def perf():
        state["perf"] += 0.001
        return state["perf"]

    def sleep(seconds):
        state["now"] += seconds
        state["perf"] += seconds
        real_sleep(min(seconds, 0.01))  # threads that wait for something must not spin

    real_sleep = time.sleep
    real_localtime, real_gmtime = time.localtime, time.gmtime
    real_strftime, real_ctime = time.strftime, time.ctime
    time.time, time.time_ns = now, lambda: int(now() * 1e9)
    time.perf_counter, time.perf_counter_ns = perf, lambda: int(perf() * 1e9)
    time.sleep = sleep
    time.localtime = lambda seconds=None: real_localtime(now() if seconds is None else seconds)
    time.gmtime = lambda seconds=None: real_gmtime(now() if seconds is None else seconds)
    time.strftime = lambda form, moment=None: real_strftime(form, moment or time.localtime())
    time.ctime = lambda seconds=None: real_ctime(now() if seconds is None else seconds)

    class Moment(type):
        def __instancecheck__(cls, value):
            return isinstance(value, cls.real)

        def __subclasscheck__(cls, other):
            return issubclass(other, cls.real)

    real_datetime, real_date = datetime.datetime, datetime.date

    class PinnedDatetime(real_datetime, metaclass=Moment):
        real = real_datetime

        @classmethod
        def now(cls, tz=None):
            return real_datetime.fromtimestamp(now(), tz)

        @classmethod
        def today(cls):
            return real_datetime.fromtimestamp(now())

        @classmethod
        def utcnow(cls):
            return real_datetime.fromtimestamp(now(), datetime.UTC).replace(tzinfo=None)

        def __new__(cls, *arguments, **named):
            return real_datetime(*arguments, **named)

    class PinnedDate(real_date, metaclass=Moment):
        real = real_date

        @classmethod
        def today(cls):
            return real_date.fromtimestamp(now())

        def __new__(cls, *arguments, **named):
            return real_date(*arguments, **named)

    datetime.datetime, datetime.date = PinnedDatetime, PinnedDate
    os.urandom = bytes_of
    secrets.token_bytes = lambda size=32: bytes_of(size)
    secrets.token_hex = lambda size=32: bytes_of(size).hex()
    secrets.randbits = lambda bits: int.from_bytes(bytes_of((bits + 7) // 8), "big") >> (-bits % 8)
    secrets.randbelow = lambda limit: int.from_bytes(bytes_of(16), "big") % limit
    secrets.choice = lambda items: items[secrets.randbelow(len(items))]
    uuid.uuid4 = lambda: uuid.UUID(bytes=bytes_of(16), version=4)
    uuid.uuid1 = lambda *_: uuid.UUID(bytes=bytes_of(16), version=1)

    class PinnedRandom(random.Random):
        def __init__(self, seed=None):
            super().__init__(int.from_bytes(bytes_of(8), "big") if seed is None else seed)

    random.Random = random.SystemRandom = PinnedRandom
    if "pandas" in sys.modules:
        stamp = sys.modules["pandas"].Timestamp
        stamp.now = staticmethod(lambda tz=None: stamp(now(), unit="s", tz=tz))
        stamp.today = staticmethod(lambda tz=None: stamp(now(), unit="s", tz=tz))
    if "numpy" in sys.modules:
        generators = sys.modules["numpy"].random
        real_rng = generators.default_rng
        generators.default_rng = lambda seed=None: real_rng(
            int.from_bytes(bytes_of(4), "big") if seed is None else seed
        )
