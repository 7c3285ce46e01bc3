package planted_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"anabranch/internal/planted"
)

const root = "../.."

// catch is a test of make test that a fault has to make fail.
type catch struct {
	fault planted.Fault
	room  string // the package of the test
	test  string
}

// catches has at least one test for each fault. Where there are several, the
// later ones show that the random histories, too, find what a room's own test
// finds.
var catches = []catch{
	{planted.ChecksumUnread, "event", "TestFrameRoundTripAndEveryFlippedBit"},
	{planted.NoteUnwritten, "stream/natslog", "TestDamage/record_10_index_false"},
	{planted.PutUnsynced, "bucket", "TestFilePowerCut"},
	{planted.FileUnsynced, "internal/disk/faultdisk", "TestWriteFileIsWholeOrNotThere"},
	{planted.ShortID, "schemas", "TestOldFilesStillRead"},
	{planted.DefaultLost, "schemas", "TestEvolution"},
	{planted.FloatSums, "view", "TestSumsThatLeaveTheirTypeAreErrors"},
	{planted.RegistersAdded, "view", "TestAnyOrderOfFoldsAndMergesGivesTheSameBytes"},
	{planted.QuantileRank, "view", "TestQuantileRankIsDuckDBs"},
	{planted.NullAsZero, "view", "TestAnyOrderOfFoldsAndMergesGivesTheSameBytes"},
	{planted.BucketBefore1970, "view", "TestRandomExpressionsAgainstDuckDB"},
	{planted.AckBeforeSync, "ingest", "TestFailTheNth"},
	{planted.RetryRenumbered, "ingest", "TestFailTheNth"},
	{planted.LettersUnstored, "ingest", "TestAnswerIsExact"},
	{planted.HotIDsForgotten, "speed", "TestDamagedSnapshotIsNamedAndTheOlderOneUsed"},
	{planted.RunsForgotten, "speed", "TestHistories"},
	{planted.ConflictCounted, "speed", "TestDamagedSnapshotIsNamedAndTheOlderOneUsed"},
	{planted.FilteredCounted, "speed", "TestDamagedSnapshotIsNamedAndTheOlderOneUsed"},
	{planted.LateDropped, "speed", "TestDamagedSnapshotIsNamedAndTheOlderOneUsed"},
	{planted.BarrierTwice, "speed", "TestHistories"},
	{planted.AdoptedEarly, "speed", "TestGraceAndNotReached"},
	{planted.DroppedEarly, "speed", "TestGraceAndNotReached"},
	{planted.SnapshotAhead, "speed", "TestHistories"},
	{planted.StateShared, "speed", "TestDamagedSnapshotIsNamedAndTheOlderOneUsed"},
	{planted.LastBarrier, "archive", "TestBarriers"},
	{planted.CollectedEarly, "archive", "TestCollectKeepsWhatIsReferenced"},
	{planted.LoserPublishes, "archive", "TestTheLaterOfTwoLoses"},
	{planted.OlderPublishes, "archive", "TestPublishRefusesWhatDoesNotFollow"},
	{planted.PublishedUnseen, "archive", "TestPublishRefusesWhatDoesNotFollow"},
	{planted.LaterCopyKept, "archive", "TestLookupAgainstAMap"},
	{planted.CopyUnverified, "archive", "TestANewProcessVerifiesWhatItFinds"},
	{planted.TierDropped, "archive", "TestRunsAreMergedInTiers"},
	{planted.BatchForgetsRuns, "batch", "TestNightlyAfterNightly"},
	{planted.OldDayKept, "batch", "TestNightlyAfterNightly"},
	{planted.DayBefore1970, "batch", "TestPeriods"},
	{planted.SwapTorn, "serving/sql", "TestMergedAnswerIsThatOfOneFold"},
	{planted.ReceiptIgnored, "serving/sql", "TestAQueryWaitsForItsReceipt"},
	{planted.StaleUnmarked, "serving/sql", "TestTheLastVersionAnswersWhileTheObjectStoreIsAway"},
	{planted.SeamTwice, "serving/sql", "TestMergedAnswerIsThatOfOneFold"},
	{planted.EpochOfOld, "serving/sql", "TestAnEpochIsSharedAndDropped"},
	{planted.TrimmedEarly, "cmd/anabranch/server", "TestTheLogIsTrimmedBelowWhatIsSealedAndInASnapshot"},

	{planted.HotIDsForgotten, random, "TestRandom"},
	{planted.LateDropped, random, "TestRandom"},
	{planted.BatchForgetsRuns, random, "TestRandom"},
	{planted.SeamTwice, random, "TestRandom"},
}

// random is the package of the random histories.
const random = "metamorphic"

// TestEachFaultHasAPlaceAndACatch looks through the source: what is on the
// list is in the program, and a test is named that catches it.
func TestEachFaultHasAPlaceAndACatch(t *testing.T) {
	named := constants(t)
	caught := map[planted.Fault]bool{}
	for _, c := range catches {
		caught[c.fault] = true
	}
	asked := places(t)
	seen := map[planted.Fault]bool{}
	for name, fault := range named {
		if seen[fault] {
			t.Errorf("two faults are called %s", fault)
		}
		seen[fault] = true
		if !caught[fault] {
			t.Errorf("no test is named that catches %s", fault)
		}
		if len(asked[name]) == 0 {
			t.Errorf("%s is nowhere in the program", fault)
		}
	}
	for name, where := range asked {
		if _, ok := named[name]; !ok {
			t.Errorf("%s asks for a fault planted.%s, which is not on the list", where, name)
		}
	}
}

// constants returns the faults of planted.go by the names of their constants.
func constants(t *testing.T) map[string]planted.Fault {
	file, err := parser.ParseFile(token.NewFileSet(), "planted.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]planted.Fault{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && len(spec.Values) == 1 {
			if id, isID := spec.Type.(*ast.Ident); isID && id.Name == "Fault" {
				text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				out[spec.Names[0].Name] = planted.Fault(text)
			}
		}
		return true
	})
	return out
}

// places returns the files of the program that ask planted.On, by the name of
// the constant.
func places(t *testing.T) map[string][]string {
	out := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || path != root && strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !is(call.Fun, "On") || len(call.Args) != 1 {
				return true
			}
			if fault, ok := call.Args[0].(*ast.SelectorExpr); ok {
				out[fault.Sel.Name] = append(out[fault.Sel.Name], path)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// is reports whether e is planted.name.
func is(e ast.Expr, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == "planted"
}
