package soak

// Test is a long random test that a soak must have run.
type Test struct {
	Package string   // that holds it
	Func    string   // the Go test
	Shows   string   // what it would break
	Counts  []string // what it counts, for the columns of its table
	// Least is what a whole soak counts at least.
	Least map[string]int64
	// Sometimes are the situations that it must reach now and then.
	Sometimes []string
}

// Tests are the tests whose records make docs/reliability.md.
var Tests = map[string]Test{
	"metamorphic": {
		Package: "metamorphic", Func: "TestRandom",
		Shows:  "One history, played in many ways, gives what DuckDB and a plain map say, bit for bit.",
		Counts: []string{"cases", "answers", Events, Lost},
		Least:  map[string]int64{"cases": 20_000},
		Sometimes: []string{
			"an event years late", "a conflicting copy", "a duplicate across the cut", "a frame appended twice", "a retraction", "producers at once", "the log full",
			"a batch died", "a run that died was taken up again", "files were put together", "a frozen batch woke up", "batches at once", "a batch lost the race to publish", "a barrier behind a later one",
			"a snapshot below the cut", "speed replayed the log above a snapshot", "a version swapped during a query",
			"a definition changed", "a changed view waits for its batch", "a changed view answers as before", "a sum left its type, and was not answered", "a log of NATS", "objects in files", "two runs came to the same end",
		},
	},
	"model": {
		Package: "metamorphic", Func: "TestModel",
		Shows:     "The protocol of the seam, as a model of its own: with all its rules every answer is the truth, and without any one of them not.",
		Counts:    []string{"histories", "rules that are missed"},
		Least:     map[string]int64{"histories": 20_000, "rules that are missed": 7},
		Sometimes: []string{"a batch lost the race", "a sleeper woke up", "a snapshot below the cut was not used"},
	},
	"planted": {
		Package: "internal/planted", Func: "TestCaught",
		Shows:  "Faults that are built in, one at a time, are caught by the tests of make test.",
		Counts: []string{"planted", "caught"},
		Least:  map[string]int64{"caught": 40},
	},
	"onecut": {
		Package: "metamorphic", Func: "TestOneQueryOneCut",
		Shows:  "One query sees one cut, while versions are published and generations dropped under it.",
		Counts: []string{"swaps", "reads", "in SQL", "over HTTP", "in snapshots"},
		Least:  map[string]int64{"swaps": 10_000, "reads": 1_000_000},
		Sometimes: []string{
			"version swapped during a query", "pinned cut was dropped, pinned again", "published cut not reached by speed yet",
			"pin read when a newer version answered others", "statements of one snapshot with a swap between them",
			"speed restarted under the readers", "two runs raced to publish",
		},
	},
	"readwrites": {
		Package: "metamorphic", Func: "TestReadYourWrites",
		Shows:  "A read with a receipt includes that event; reads of the latest, and with receipts, are linearizable with the sends.",
		Counts: []string{"histories", "operations", "undecided"},
		Least:  map[string]int64{"histories": 2_000},
		Sometimes: []string{
			"speed came back from a snapshot during the history", "speed was killed during the history", "version swapped during a read",
			"a send nobody knows the end of", "a deposit sent again later", "speed fell back behind what a reader had seen", "read while a send was under way",
		},
	},
	"ids": {
		Package: "metamorphic", Func: "TestDedupeWithoutAWindow",
		Shows:  "An id is known however old, in both layers, for some bytes of memory: 100 million in one partition.",
		Counts: []string{"ids", "runs", "memory millibytes per id", "disk millibytes per id", "ns per new id", "ns per id of any age", "ns per id of the last frames"},
		Least:  map[string]int64{"ids": 100_000_000},
	},
	"kill": {
		Package: "cmd/anabranch", Func: "TestKilledAtRandom",
		Shows:  "kill -9 of the program, of Temporal or of a worker loses nothing and counts nothing twice.",
		Counts: []string{"kills", "runs", Events, Lost, Double},
		Least:  map[string]int64{"kills": 1_000},
		Sometimes: []string{
			"killed in a batch run", "killed when a batch had made its files and not published", "a worker killed alone in a batch run",
			"killed while an object was being written", "a version published during a query", "restored from a snapshot",
		},
	},
	"powercut-bucket": {
		Package: "bucket", Func: "TestFilePowerCut",
		Shows:     "An acknowledged put or delete of the file bucket survives a power cut at any call; no torn object is ever seen.",
		Counts:    []string{"cuts", "objects", Lost},
		Least:     map[string]int64{"cuts": 300_000},
		Sometimes: []string{"a torn file in the bucket's temp", "a rename undone", "an unacknowledged put that is there", "a process killed before the power goes"},
	},
	"powercut": {
		Package: "metamorphic/power", Func: "TestPowerCuts",
		Shows:  "A power cut at any call to the disk, under bucket, snapshots, segments and batches, loses no acknowledged event and counts none twice.",
		Counts: []string{"cuts", Events, Lost, Double},
		Least:  map[string]int64{"cuts": 30_000},
		Sometimes: []string{
			"a torn snapshot", "the rename of a snapshot undone", "a torn object in the bucket's temp", "a torn copy in the cache",
			"a power cut after the log was trimmed", "a process killed before the power goes",
		},
	},
	"diskfault": {
		Package: "metamorphic/power", Func: "TestEveryCallFails",
		Shows:  "Any call to the disk fails: the error says to try again, no half version is seen, the last good one answers, and what was acknowledged stays; after a failed sync nothing is acknowledged that hangs on it.",
		Counts: []string{"faults", Events, Lost},
		Least:  map[string]int64{"faults": 10_000},
		Sometimes: []string{
			"EIO", "EIO that stays", "no space", "short write", "disk full", "fsync error", "fsync error of a folder", "fsync without space",
			"an error that says to try again", "the last good version served meanwhile", "a process that had to be started anew",
		},
	},
	"s3fault": {
		Package: "metamorphic", Func: "TestStoreFaults",
		Shows:     "Any call of the object store fails, once or until somebody mends it: no half version is seen, the last good one answers meanwhile, and each batch publishes once.",
		Counts:    []string{"runs", "faults", "calls", "stale answers", Events, Lost},
		Least:     map[string]int64{"runs": 3_000},
		Sometimes: []string{"put applied, answer lost", "stale answer served", "publish answered after a retry", "a run failed behind its own publication"},
	},
	"image": {
		Package: "cmd/anabranch", Func: "TestPowerCut",
		Shows:     "A power cut under log, Temporal, snapshots and bucket, at any moment, loses nothing that was acknowledged.",
		Counts:    []string{"cuts", Events, Lost, Double},
		Least:     map[string]int64{"cuts": 100},
		Sometimes: []string{"what was not synced is gone", "a version published during a query", "restored from a snapshot"},
	},
	"killpoint": {
		Package: "batch", Func: "TestKillPoints",
		Shows:     "A batch killed before or after any call of store and catalog publishes one whole version or none, and no file of a version is ever collected.",
		Counts:    []string{"seeds", "kill points"},
		Least:     map[string]int64{"seeds": 50, "kill points": 2_000},
		Sometimes: []string{"died behind the put of its manifest", "a collector died"},
	},
	"zombie-batch": {
		Package: "batch", Func: "TestZombies",
		Shows:     "A batch worker or a collector that stood still while others went on harms nothing when it wakes.",
		Counts:    []string{"seeds", "zombies"},
		Least:     map[string]int64{"zombies": 1_500},
		Sometimes: []string{"collected while a run stood before the put of its manifest", "a collector stood before its last look", "a collector stood between its last look and its delete"},
	},
	"zombie": {
		Package: "cmd/anabranch", Func: "TestZombieProcesses",
		Shows:     "A worker, a speed process or a gateway stopped (SIGSTOP) until another has taken over, and let go on, applies nothing twice and publishes nothing twice.",
		Counts:    []string{"stops", "runs", Events, Lost, Double},
		Least:     map[string]int64{"stops": 60},
		Sometimes: []string{"a run ended without the worker that stood still in it", "a version was published while speed stood still", "a version published during a query", "restored from a snapshot"},
	},
	"zombie-log": {
		Package: "stream/natslog", Func: "TestZombieTrims",
		Shows:     "A process that stood still while it trimmed the log never makes what another has trimmed look lost.",
		Counts:    []string{"zombies"},
		Least:     map[string]int64{"zombies": 500},
		Sometimes: []string{"the sleeper would trim more"},
	},
	"network": {
		Package: "cmd/anabranch", Func: "TestNetwork",
		Shows:  "Connections between the roles, the log and Temporal that break, stand still or carry one direction only lose nothing, count nothing twice, and all goes on by itself.",
		Counts: []string{"ills", "runs", Events, Lost, Double},
		Least:  map[string]int64{"ills": 200},
		Sometimes: []string{
			"harmed in a batch run", "a version was published meanwhile", "what was held back arrived late", "an event was sent again",
			"a version published during a query", "restored from a snapshot", "a query was refused for a while",
		},
	},
	"memory": {
		Package: "cmd/anabranch", Func: "TestMemory",
		Shows:     "In 512 MiB, with Temporal, ten times the load is refused with 429; the memory stays flat, nothing acknowledged is lost.",
		Counts:    []string{"spikes", "refused", Events, Lost, Double},
		Least:     map[string]int64{"spikes": 50},
		Sometimes: []string{"refused with 429", "the low lane was refused more often", "refused for the memory of groups and ids", "a batch made room in memory"},
	},
	"full-bucket": {
		Package: "cmd/anabranch", Func: "TestPartOfTheDiskFull",
		Shows:     "A full object store stops neither events nor queries; runs go on when there is room.",
		Counts:    []string{"cycles", Events, Lost, Double},
		Least:     map[string]int64{"cycles": 20},
		Sometimes: []string{"events were taken while it was full", "a version published during a query", "restored from a snapshot"},
	},
	"full-speed": {
		Package: "cmd/anabranch", Func: "TestPartOfTheDiskFull",
		Shows:     "A full disk of the snapshots stops nothing but them.",
		Counts:    []string{"cycles", Events, Lost, Double},
		Least:     map[string]int64{"cycles": 20},
		Sometimes: []string{"events were taken while it was full", "a version published during a query", "restored from a snapshot"},
	},
	"full": {
		Package: "cmd/anabranch", Func: "TestDiskFull",
		Shows:     "A full disk refuses events with 507 and loses none; queries go on; with room writing resumes by itself.",
		Counts:    []string{"cycles", Events, Lost, Double},
		Least:     map[string]int64{"cycles": 200},
		Sometimes: []string{"refused with 507", "resumed by itself", "a version published during a query", "restored from a snapshot"},
	},
	"damage": {
		Package: "cmd/anabranch/server", Func: "TestDamage",
		Shows:  "A damaged file never gives a wrong answer: the truth, or an error that names the file; fsck names it and mends what has another copy.",
		Counts: []string{"damaged files", "repaired", "beyond repair"},
		Least:  map[string]int64{"damaged files": 300, "repaired": 100},
		Sometimes: []string{
			"repaired cache", "repaired days", "repaired log", "repaired manifests", "repaired note", "repaired once", "repaired results", "repaired runs", "repaired segments",
			"repaired snapshot", "repaired states",
		},
	},
	"damage-archive": {
		Package: "archive", Func: "TestDamage",
		Shows:  "Damage in any file of the archive is found before a byte of it is used.",
		Counts: []string{"damaged segment", "damaged id run", "damaged day file", "damaged state file", "damaged result file", "damaged manifest", "damaged note"},
		Least:  each(10_000, "damaged segment", "damaged id run", "damaged day file", "damaged state file", "damaged result file", "damaged manifest", "damaged note"),
	},
	"damage-frames": {
		Package: "schemas", Func: "TestDamagedFrames",
		Shows:  "A damaged frame is never decoded.",
		Counts: []string{"damaged frame"},
		Least:  each(10_000, "damaged frame"),
	},
	"damage-log": {
		Package: "stream/natslog", Func: "TestDamagedFiles",
		Shows:  "Damage in any file of NATS is found by who reads the log and by who looks at its files.",
		Counts: []string{"damaged log", "damaged log and started"},
		Least:  map[string]int64{"damaged log": 10_000, "damaged log and started": 500},
	},
	"damage-snapshots": {
		Package: "speed", Func: "TestDamagedSnapshots",
		Shows:  "A damaged snapshot is not used.",
		Counts: []string{"damaged snapshot"},
		Least:  each(10_000, "damaged snapshot"),
	},
	"damage-letters": {
		Package: "deadletter", Func: "TestDamage",
		Shows:  "A damaged dead letter is named, and not taken for another.",
		Counts: []string{"damaged letters", "damaged release"},
		Least:  each(10_000, "damaged letters", "damaged release"),
	},
	"damage-definitions": {
		Package: "cmd/anabranch/server", Func: "TestDamagedDefinitions",
		Shows:  "A damaged definition is never taken for another definition.",
		Counts: []string{"damaged definition"},
		Least:  each(10_000, "damaged definition"),
	},
}

// each asks for n of everything.
func each(n int64, names ...string) map[string]int64 {
	out := map[string]int64{}
	for _, name := range names {
		out[name] = n
	}
	return out
}
