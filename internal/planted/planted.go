// Package planted lists faults that are built into the program when it is
// built with the tag "planted", one of them chosen by the environment. They
// show that the tests catch them: a test that finds no planted fault would
// not find a real one either. Without the tag they are not in the program.
package planted

// Fault is the name of a planted fault.
type Fault string

// Env is the environment variable that chooses the fault.
const Env = "ANABRANCH_PLANTED"

// The faults. Each has one place in the program that asks for it.
const (
	ChecksumUnread   Fault = "checksum-unread"    // a frame's checksum is not looked at
	NoteUnwritten    Fault = "note-unwritten"     // what was acknowledged is not noted beside the log
	PutUnsynced      Fault = "put-unsynced"       // an object gets its name before its bytes are synced
	ShortID          Fault = "short-id"           // the hash of an id has 32 bits
	DefaultLost      Fault = "default-lost"       // a field that a schema has got since is null in old events, whatever its default
	FloatSums        Fault = "float-sums"         // decimals are added up as doubles
	RegistersAdded   Fault = "registers-added"    // registers of a sketch are added, not compared
	QuantileRank     Fault = "quantile-rank"      // a quantile is the value behind the right one
	NullAsZero       Fault = "null-as-zero"       // a group of nulls has a least value: zero
	BucketBefore1970 Fault = "bucket-before-1970" // times before the origin fall into the bucket behind their own
	AckBeforeSync    Fault = "ack-before-sync"    // a send is acknowledged before the log has it
	RetryRenumbered  Fault = "retry-renumbered"   // an append that is tried again gets a new number
	LettersUnstored  Fault = "letters-unstored"   // the last dead letters of a request are counted and not stored
	HotIDsForgotten  Fault = "hot-ids-forgotten"  // the ids above the cut are forgotten at restore
	RunsForgotten    Fault = "runs-forgotten"     // the ids below the cut are not asked
	ConflictCounted  Fault = "conflict-counted"   // a copy with other content is counted too
	FilteredCounted  Fault = "filtered-counted"   // what a filter rule takes out is folded all the same
	LateDropped      Fault = "late-dropped"       // a frame that is older than what was folded is dropped
	BarrierTwice     Fault = "barrier-twice"      // the second occurrence of a barrier counts
	AdoptedEarly     Fault = "adopted-early"      // a manifest is adopted before its cut is passed
	DroppedEarly     Fault = "dropped-early"      // a generation is dropped while readers may still ask for it
	SnapshotAhead    Fault = "snapshot-ahead"     // a snapshot says that it holds one frame more than it does
	StateShared      Fault = "state-shared"       // a reader adds to the state that speed folds into
	LastBarrier      Fault = "last-barrier"       // the last occurrence of a barrier is the cut, not the first
	CollectedEarly   Fault = "collected-early"    // what an unfinished run has written is garbage
	LoserPublishes   Fault = "loser-publishes"    // of two batches that publish at once the later wins
	OlderPublishes   Fault = "older-publishes"    // a batch of an older barrier publishes over a newer
	PublishedUnseen  Fault = "published-unseen"   // a manifest is published whose files nobody has looked for
	LaterCopyKept    Fault = "later-copy-kept"    // of two entries of one id a merge keeps the later
	CopyUnverified   Fault = "copy-unverified"    // a cached copy that a former process left is taken as it is
	TierDropped      Fault = "tier-dropped"       // merging id runs loses those of other tiers
	BatchForgetsRuns Fault = "batch-forgets-runs" // batch takes a copy of an event below the cut for the first
	OldDayKept       Fault = "old-day-kept"       // a day that was folded again keeps its old state
	DayBefore1970    Fault = "day-before-1970"    // events before 1970 lie a day late
	SwapTorn         Fault = "swap-torn"          // a query takes the manifest and the delta of two versions
	ReceiptIgnored   Fault = "receipt-ignored"    // a query does not wait for the producer's receipt
	StaleUnmarked    Fault = "stale-unmarked"     // an answer without the object store looks like any other
	SeamTwice        Fault = "seam-twice"         // groups that speed has touched are also read from the batch files
	EpochOfOld       Fault = "epoch-of-old"       // a query is answered from the positions of the one before
	FileUnsynced     Fault = "file-unsynced"      // a snapshot gets its name before its bytes are synced
	TrimmedEarly     Fault = "trimmed-early"      // the log is trimmed below a snapshot, archived or not
)
