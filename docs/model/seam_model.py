#!/usr/bin/env python3
"""The seam as a model that runs: log, barriers, segments, id runs, manifests, imports, speed, pinned readers; crashes, races and sleepers.

Random histories are played, and every merged answer is compared with a fold of the log in order. The model is small on
purpose: one view (count and sum by key and day), whose states are Counters; adding Counters is the merge of the monoid.
Each rule of the protocol that can be dropped has a name, and with --drop the histories must part from the truth: a rule
that nothing misses would not be one.

usage: seam_model.py [--drop RULE] [HISTORIES [SEED]]     histories one after the other, SEED names the first
       seam_model.py --prove [HISTORIES [SEED]]           all rules hold; then without each in turn, until a history fails
       seam_model.py --rules                              the names of the rules
"""
import random
import sys
from collections import Counter, namedtuple

RULES = {
    "pass-the-cut": "a partition adopts a manifest only after it has itself passed that manifest's cut",
    "plan-again": "publishing is conditional on the parent: the loser plans again from the winner",
    "never-back": "a batch of an older barrier never publishes over a newer one",
    "imports-aside": "an event whose id came in by an import admitted at barrier j counts for readers of manifests older than j only",
    "first-occurrence": "of several occurrences of a barrier in a partition, the first in log order is its cut",
    "lower-barriers-first": "whoever appends barrier k first appends, everywhere, every barrier below it that is not published",
    "first-by-position": "of the events with one id the first in log order counts, imports at the place of their barrier",
}
DROPPED = set()


def rule(name):
    assert name in RULES
    return name not in DROPPED


class Differs(Exception):
    """An answer that is not the truth, or none where there must be one."""


Event = namedtuple("Event", "id key day value")  # one id with another body is a conflicting copy
Barrier = namedtuple("Barrier", "k")
Segment = namedtuple("Segment", "start end rows")  # rows: [(position, event)]
Manifest = namedtuple("Manifest", "version k cut days runs")  # days: {day: [event]}; runs: by partition {id: position}


def fold(state, e):
    state[e.key, e.day, "count"] += 1
    state[e.key, e.day, "sum"] += e.value


class World:
    def __init__(self, rnd, partitions):
        self.r, self.parts = rnd, range(partitions)
        self.log = [[] for _ in self.parts]
        self.trimmed = [0 for _ in self.parts]
        self.segments = [[] for _ in self.parts]
        self.imports = []   # by import: by partition its events; staged and never changed
        self.admits = {}    # barrier -> import, noted before the barrier is appended
        self.manifests = [Manifest(0, 0, (0,) * partitions, {}, tuple({} for _ in self.parts))]
        self.sleepers = []  # runs that stand still with barriers left to append
        self.depth = 0
        self.met = Counter()
        self.speed = [Speed(self, p) for p in self.parts]

    def newest(self):
        return self.manifests[-1]

    # ingest: at-least-once

    def event(self, p):
        n = self.r.randint(1, 60)
        if self.r.random() < .08:
            return Event((p, n), (p, n % 5), self.r.randint(0, 3), n + 1000)
        return Event((p, n), (p, n % 5), n % 4, n)

    def send(self):
        p = self.r.choice(self.parts)
        frame = [self.event(p) for _ in range(self.r.randint(1, 4))]
        self.log[p].append(frame)
        if self.r.random() < .15:  # nobody heard the acknowledgement
            self.log[p].append(frame)

    # barriers

    def first(self, p, k):
        """The offset of barrier k in partition p, or None."""
        found = [o for o, rec in enumerate(self.log[p]) if rec == Barrier(k)]
        if not found:
            return None
        return found[0] if rule("first-occurrence") else found[-1]

    def next_barrier(self):
        """One more than the highest that is published or sealed: a barrier that a dead run appended may come again."""
        k = self.newest().k
        for p in self.parts:
            end = self.segments[p][-1].end if self.segments[p] else 0
            k = max([k] + [rec.k for rec in self.log[p][:end] if isinstance(rec, Barrier)])
        return k + 1

    def barriers_of(self, k):
        """What a run that wants barrier k has to append: (partition, barrier), in order."""
        low = self.newest().k + 1 if rule("lower-barriers-first") else k
        return [(p, j) for j in range(low, k + 1) for p in self.parts]

    def append(self, work):
        """Appends barriers; False when the run stops on the way, for a while or for ever."""
        while work:
            if self.r.random() < .06:
                return False
            p, k = work.pop(0)
            if self.first(p, k) is None and any(isinstance(rec, Barrier) and rec.k > k for rec in self.log[p]):
                self.met["a barrier behind a later one, for the first time"] += 1
            self.log[p].append(Barrier(k))
            if self.r.random() < .2:
                self.log[p].append(Barrier(k))
        return True

    # archive

    def seal(self, p, end):
        """Seals the log of p up to end; a segment ends at a barrier, exactly."""
        start = self.segments[p][-1].end if self.segments[p] else 0
        while start < end:
            stop, rows = start, []
            while stop < end:
                rec = self.log[p][stop]
                stop += 1
                if isinstance(rec, Barrier):
                    break
                rows += [((stop - 1, n), e) for n, e in enumerate(rec)]
            self.segments[p].append(Segment(start, stop, rows))
            start = stop

    def trim(self, p):
        sealed = self.segments[p][-1].end if self.segments[p] else 0
        self.trimmed[p] = max(self.trimmed[p], min(sealed, self.speed[p].saved["next"]))

    # batch

    def nightly(self):
        k = self.next_barrier()
        if self.r.random() < .3 and k not in self.admits and all(self.first(p, k) is None for p in self.parts):
            self.imports.append([[self.event(p) for _ in range(self.r.randint(0, 5))] for p in self.parts])
            self.admits[k] = len(self.imports) - 1
        work = self.barriers_of(k)
        if not self.append(work):
            self.sleepers.append((k, work))
            return
        self.interlude()
        self.finish(k)

    def wake(self):
        """A run that stood still goes on with all it knew, when a later barrier may be everywhere."""
        if self.sleepers:
            k, work = self.sleepers.pop(self.r.randrange(len(self.sleepers)))
            self.met["a sleeper woke up"] += 1
            if self.append(work):
                self.finish(k)

    def take_up(self):
        """A run that died behind its barriers is taken up again by its workflow."""
        m = self.newest()
        known = [k for k in range(m.k + 1, self.next_barrier() + 1) if all(self.first(p, k) is not None for p in self.parts)]
        if known:
            self.finish(self.r.choice(known))

    def finish(self, k):
        for p in self.parts:
            self.seal(p, self.first(p, k) + 1)
        for _ in range(3):
            parent = self.newest()
            if parent.k >= k and rule("never-back"):
                return
            made = self.compact(parent, k)
            self.interlude()
            if self.r.random() < .15:
                return  # died before it published: what it has made is garbage, and never read
            if self.publish(parent, made):
                return
            self.met["a batch lost the race"] += 1

    def compact(self, parent, k):
        """Joins what lies between the parent's cut and barrier k with the id runs."""
        cut = tuple(self.first(p, k) + 1 for p in self.parts)
        runs = [dict(run) for run in parent.runs]
        days = {day: list(events) for day, events in parent.days.items()}
        for p in self.parts:
            rows = [row for s in self.segments[p] if s.start >= parent.cut[p] and s.end <= cut[p] for row in s.rows]
            for position, events in self.admitted(p, parent.cut[p], cut[p]):
                rows += [((position, n - len(events)), e) for n, e in enumerate(events)]  # just before their barrier
            if rule("first-by-position"):
                rows.sort(key=lambda row: row[0])
            for position, e in rows:
                if e.id not in runs[p]:
                    runs[p][e.id] = position
                    days.setdefault(e.day, []).append(e)
        return dict(k=k, cut=cut, days=days, runs=tuple(runs))

    def admitted(self, p, start, end):
        """The imports that barriers in [start, end) admit, each once: (offset, events)."""
        for o in range(start, end):
            rec = self.log[p][o]
            if isinstance(rec, Barrier) and rec.k in self.admits and self.first(p, rec.k) == o:
                yield o, self.imports[self.admits[rec.k]][p]

    def publish(self, parent, made):
        """One conditional put."""
        if self.newest().version != parent.version and rule("plan-again"):
            return False
        self.manifests.append(Manifest(self.newest().version + 1, **made))
        return True

    def backfill(self):
        """Computes a day again under the published cut."""
        parent = self.newest()
        days = {day: list(events) for day, events in parent.days.items()}
        self.interlude()
        self.publish(parent, dict(k=parent.k, cut=parent.cut, days=days, runs=parent.runs))

    # serving

    def query(self, m):
        """The answer from manifest m or, where speed has dropped it, from the newest: (answer, positions, manifest)."""
        for _ in range(5):
            total, at = Counter(), []
            for events in m.days.values():
                for e in events:
                    fold(total, e)
            for p in self.parts:
                since = self.speed[p].since(m)
                if since is None:
                    break
                total.update(since)
                at.append(self.speed[p].next)
            else:
                return total, at, m
            m = self.newest()
        return None

    def truth(self, at, m):
        """The log in order, up to what the answer covers; an import counts once its barrier's batch is published."""
        total = Counter()
        for p in self.parts:
            seen = set()
            for o in range(max(at[p], m.cut[p])):
                rec = self.log[p][o]
                if isinstance(rec, Barrier):
                    first = next(n for n, r in enumerate(self.log[p]) if r == rec)
                    rec = self.imports[self.admits[rec.k]][p] if rec.k <= m.k and rec.k in self.admits and first == o else []
                for e in rec:
                    if e.id not in seen:
                        seen.add(e.id)
                        fold(total, e)
        return total

    def check(self, m):
        self.met["asked"] += 1
        answer = self.query(m)
        if answer is None:
            return False
        self.met["answered"] += 1
        total, at, m = answer
        want = self.truth(at, m)
        got, want = {k: v for k, v in total.items() if v}, {k: v for k, v in want.items() if v}
        if got != want:
            parts = {k: (got.get(k), want.get(k)) for k in got.keys() | want.keys() if got.get(k) != want.get(k)}
            raise Differs("manifest %d (barrier %d) at %s: got, want: %s" % (m.version, m.k, at, parts))
        return True

    # what happens

    def interlude(self):
        """The rest of the world while a run pauses; other runs too, so that batches race."""
        self.depth += 1
        for _ in range(self.r.randint(0, 4)):
            self.step()
        self.depth -= 1

    def step(self):
        p = self.r.choice(self.parts)
        s = self.speed[p]
        do = [
            (30, self.send), (28, lambda: s.run(self.r.randint(1, 4))), (6, s.snapshot), (4, s.crash), (6, s.notice),
            (6, lambda: self.seal(p, self.r.randint(0, len(self.log[p])))), (2, lambda: self.trim(p)),
            (5, lambda: self.check(self.newest())), (5, lambda: self.check(self.r.choice(self.manifests[-3:]))),
        ]
        if self.depth < 3:
            do += [(3, self.nightly), (1.5, self.backfill), (1, self.take_up), (1.5, self.wake)]
        self.r.choices([d for _, d in do], [weight for weight, _ in do])[0]()


class Speed:
    """One partition. A generation is [barrier that opened it, Counter, {j: Counter}]: the last are events that came in by
    an import which barrier j admits; they count for readers of manifests older than j."""

    def __init__(self, world, p):
        self.w, self.p = world, p
        self.begin(world.newest())
        self.snapshot()

    def begin(self, m):
        """Empty, at m's cut."""
        self.next, self.gens, self.hot, self.imported, self.known = m.cut[self.p], [[m.k, Counter(), {}]], {}, {}, m

    def snapshot(self):
        gens = [[k, Counter(c), {j: Counter(x) for j, x in aside.items()}] for k, c, aside in self.gens]
        self.saved = dict(next=self.next, gens=gens, hot=dict(self.hot), imported=dict(self.imported), known=self.known)

    def crash(self):
        m = self.w.newest()
        if self.saved["next"] < m.cut[self.p] and self.w.r.random() < .5:
            self.w.met["a snapshot below the cut was not used"] += 1
            self.begin(m)
            return
        saved = self.saved
        self.gens = saved["gens"]
        self.next, self.hot, self.imported, self.known = saved["next"], dict(saved["hot"]), dict(saved["imported"]), saved["known"]
        self.snapshot()  # what is saved is a copy, never what is folded into

    def notice(self):
        """Learns of the newest manifest, and forgets what it covers."""
        m = self.w.newest()
        if self.next < m.cut[self.p] and rule("pass-the-cut"):
            return
        self.known = m
        self.gens = [g for g in self.gens if g[0] >= m.k] or [[m.k, Counter(), {}]]
        self.hot = {i: at for i, at in self.hot.items() if at[0] >= m.cut[self.p]}
        self.imported = {i: j for i, j in self.imported.items() if j > m.k}

    def run(self, records):
        for _ in range(records):
            if self.next >= len(self.w.log[self.p]):
                return
            if self.next < self.w.trimmed[self.p]:
                raise Differs("speed needs record %d of partition %d, which is trimmed" % (self.next, self.p))
            rec = self.w.log[self.p][self.next]
            if isinstance(rec, Barrier):
                self.barrier(rec.k)
            else:
                for n, e in enumerate(rec):
                    self.apply((self.next, n), e)
            self.next += 1

    def barrier(self, k):
        if any(g[0] == k for g in self.gens) or self.w.first(self.p, k) != self.next:
            return  # a repetition
        self.gens.append([k, Counter(), {}])
        if k in self.w.admits:
            for e in self.w.imports[self.w.admits[k]][self.p]:
                self.imported.setdefault(e.id, k)

    def apply(self, position, e):
        counted = self.known.runs[self.p].get(e.id)
        if counted is not None and counted < position:
            return
        if e.id in self.hot and self.hot[e.id] < position:
            return
        self.hot[e.id] = position
        _, state, aside = self.gens[-1]
        if e.id in self.imported and rule("imports-aside"):
            state = aside.setdefault(self.imported[e.id], Counter())
        fold(state, e)

    def since(self, m):
        """What lies above m's cut; None where it is not reached, or dropped."""
        at = [n for n, g in enumerate(self.gens) if g[0] == m.k]
        if not at:
            return None
        total = Counter()
        for _, state, aside in self.gens[at[0]:]:  # in log order
            total.update(state)
            for j, c in aside.items():
                if j > m.k:
                    total.update(c)
        return total


def history(seed):
    rnd = random.Random(seed)
    w = World(rnd, rnd.randint(1, 3))
    for _ in range(rnd.randint(60, 220)):
        w.step()
    for p in w.parts:
        w.speed[p].run(10 ** 6)
    for _ in range(2):  # at rest the newest manifest answers, before and after it is adopted
        if not w.check(w.newest()):
            raise Differs("no answer at rest")
        for p in w.parts:
            w.speed[p].notice()
    w.met["manifests"] = len(w.manifests) - 1
    return w.met


def play(histories, seed):
    """Plays histories until one fails: (how many passed, what was met, what was wrong or None)."""
    met = Counter()
    for n in range(histories):
        try:
            met.update(history(seed + n))
        except (Differs, AssertionError, IndexError, TypeError, KeyError) as e:
            return n, met, "seed %d: %s: %s" % (seed + n, type(e).__name__, e)
    return histories, met, None


MUST_MEET = ("a batch lost the race", "a sleeper woke up", "a snapshot below the cut was not used")


def prove(histories, seed):
    n, met, wrong = play(histories, seed)
    if wrong:
        return "with all rules, %s" % wrong
    print("%d histories from seed %d: every answer is the truth; %s" % (n, seed, ", ".join("%s %d" % x for x in sorted(met.items()))))
    missed = [name for name in MUST_MEET if not met[name]]
    if missed and histories >= 300:
        return "never met: %s" % ", ".join(missed)
    for name in RULES:
        DROPPED.add(name)
        n, _, wrong = play(max(histories, 20000), seed)
        DROPPED.clear()
        if not wrong:
            return "nothing misses the rule %s" % name
        print("without %s: history %d fails" % (name, n + 1))
    return None


def main(args):
    if args == ["--rules"]:
        for name, text in RULES.items():
            print("%-22s%s" % (name, text))
        return 0
    proving = args[:1] == ["--prove"]
    if proving:
        args = args[1:]
    elif args[:1] == ["--drop"]:
        if len(args) < 2 or args[1] not in RULES:
            print("no such rule; --rules names them", file=sys.stderr)
            return 2
        DROPPED.add(args[1])
        args = args[2:]
    histories, seed = int(args[0]) if args else 2000, int(args[1]) if len(args) > 1 else 1
    if proving:
        wrong = prove(histories, seed)
    else:
        n, met, wrong = play(histories, seed)
        print("%d histories from seed %d; %s" % (n, seed, ", ".join("%s %d" % x for x in sorted(met.items()))))
    if wrong:
        print(wrong)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
