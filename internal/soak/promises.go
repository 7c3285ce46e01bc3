package soak

// Promise is one that the design makes, with the tests that would break it.
type Promise struct {
	Text  string
	Tests []string // package.Func, of the default run
}

// Promises are those of docs/architecture.md, in its order.
var Promises = []Promise{
	{"An acknowledged event is durable and is counted exactly once in every merged answer that covers it.", []string{
		"cmd/anabranch.TestKilledAtRandom", "metamorphic.TestRandom", "archive.TestEveryRowIsSealedOnceWhateverTheRestarts",
		"metamorphic/power.TestPowerCuts", "metamorphic/power.TestEveryCallFails", "bucket.TestFilePowerCut"}},
	{"A copy is known however old its event is, by both layers alike.", []string{"metamorphic.TestDedupeWithoutAWindow", "metamorphic.TestRandom"}},
	{"The batch result over a cut is the speed result over it, bit for bit.", []string{
		"metamorphic.TestRandom", "view.TestAnyOrderOfFoldsAndMergesGivesTheSameBytes", "serving/sql.TestMergedAnswerIsThatOfOneFold"}},
	{"One query sees one cut for its whole life.", []string{
		"metamorphic.TestOneQueryOneCut",
		"serving/sql.TestManyReadersWhileVersionsAndPositionsMove", "serving/sql.TestPinAgainWhenSpeedDroppedTheCut"}},
	{"A query that is handed a receipt includes what the receipt is for.", []string{"metamorphic.TestReadYourWrites"}},
	{"Conservation: received = counted + duplicate + filtered + dead-lettered + held + in flight.", []string{
		"cmd/anabranch.TestKilledAtRandom", "cmd/anabranch/server.TestLedgerByRuleBelowAndAboveTheCut"}},
	{"A failed, retried, doubled or killed batch publishes one version or none.", []string{
		"batch.TestDieAtEveryCall", "batch.TestKillPoints", "metamorphic.TestStoreFaults", "batch.TestRace", "batch.TestManyAtOnce", "archive.TestOneOfManyPublishes"}},
	{"Late data is never hidden.", []string{"metamorphic.TestRandom"}},
	{"Overload slows or refuses, and loses nothing that was acknowledged.", []string{
		"ingest.TestBudgetUnderPressure", "ingest.TestFull", "ingest.TestLanes", "cmd/anabranch.TestDiskFull", "cmd/anabranch.TestMemory"}},
	{"What is damaged on disk is detected and named: never a wrong number, never a crash.", []string{
		"cmd/anabranch/server.TestDamage", "archive.TestDamagedFilesAreNamed", "speed.TestEveryFlippedBitOfASnapshotIsFound"}},
	{"Nothing listens beyond loopback without TLS and authentication.", []string{
		"cmd/anabranch/server.TestASecondStartOnOneFolderIsRefused"}},
}
