package deadletter

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"anabranch/bucket"
)

// Options says which letters List yields. The zero value: all of them.
type Options struct {
	Limit  int       // at most so many; 0: no limit
	Codes  []string  // only these codes; none: every code
	After  string    // an ID: only letters behind it, in the order of the list
	Since  time.Time // only letters of this day (UTC) or later
	Newest bool      // the newest day first; within a day by request either way
}

// List yields letters by day, request and number. After an error it ends.
func (s *Store) List(ctx context.Context, o Options) iter.Seq2[Letter, error] {
	return func(yield func(Letter, error) bool) {
		if err := s.list(ctx, o, func(l Letter) bool { return yield(l, nil) }); err != nil {
			yield(Letter{}, err)
		}
	}
}

func (s *Store) list(ctx context.Context, o Options, yield func(Letter) bool) error {
	l := lister{Store: s, o: o, yield: yield, left: o.Limit}
	if o.After != "" {
		var err error
		if l.day, l.request, l.number, err = parseID(o.After); err != nil {
			return err
		}
	}
	from := ""
	if !o.Since.IsZero() {
		from = o.Since.UTC().Format(time.DateOnly)
	}
	if !o.Newest {
		from = max(from, l.day)
		for obj, err := range s.objects(ctx, from) {
			if err != nil {
				return err
			}
			if more, err := l.object(ctx, obj); !more || err != nil {
				return err
			}
		}
		return nil
	}
	var days [][]object
	for obj, err := range s.objects(ctx, from) {
		if err != nil {
			return err
		}
		if n := len(days); n == 0 || days[n-1][0].day != obj.day {
			days = append(days, nil)
		}
		days[len(days)-1] = append(days[len(days)-1], obj)
	}
	for _, day := range slices.Backward(days) {
		for _, obj := range day {
			if more, err := l.object(ctx, obj); !more || err != nil {
				return err
			}
		}
	}
	return nil
}

// objects yields what the names say, from a day on, in order.
func (s *Store) objects(ctx context.Context, fromDay string) iter.Seq2[object, error] {
	return func(yield func(object, error) bool) {
		after := ""
		if fromDay != "" {
			after = s.prefix() + fromDay // the day's objects are greater: a slash follows
		}
		for info, err := range s.bucket.List(ctx, s.prefix(), after) {
			if err != nil {
				yield(object{}, fmt.Errorf("list the dead letters of %s: %w", s.pipeline, err))
				return
			}
			o, ok := parseName(strings.TrimPrefix(info.Name, s.prefix()))
			if ok && !yield(o, nil) {
				return
			}
		}
	}
}

// lister yields the letters that its options ask for.
type lister struct {
	*Store
	o       Options
	yield   func(Letter) bool
	left    int
	day     string // with request and number: o.After
	request string
	number  int
}

// wants reports whether a letter of one of codes is asked for.
func (l *lister) wants(codes map[string]int64) bool {
	return len(l.o.Codes) == 0 || slices.ContainsFunc(l.o.Codes, func(c string) bool { return codes[c] > 0 })
}

// behind reports whether obj comes behind o.After in the order of the list.
func (l *lister) behind(obj object) (whole, part bool) {
	switch {
	case l.o.After == "":
		return true, true
	case obj.day != l.day:
		whole = obj.day > l.day != l.o.Newest
		return whole, whole
	}
	// One day is listed by name: request, then a dot.
	here, there := obj.request+".", l.request+"."
	return here > there, here >= there
}

func (l *lister) object(ctx context.Context, obj object) (more bool, err error) {
	whole, part := l.behind(obj)
	if !part || obj.codes != nil && !l.wants(obj.codes) {
		return true, nil
	}
	letters, err := l.read(ctx, obj.name(l.prefix()), obj)
	if errors.Is(err, bucket.ErrNotFound) {
		return true, nil // replaced by a retry between the list and the read
	}
	if err != nil {
		return false, err
	}
	released, err := l.releases(ctx, obj)
	if err != nil {
		return false, err
	}
	for i, letter := range letters {
		if !whole && i <= l.number || len(l.o.Codes) > 0 && !slices.Contains(l.o.Codes, letter.Code) {
			continue
		}
		if released[letter.ID] {
			if letter.Released, err = l.release(ctx, letter.ID); err != nil {
				return false, err
			}
		}
		if !l.yield(letter) {
			return false, nil
		}
		if l.left--; l.left == 0 {
			return false, nil
		}
	}
	return true, nil
}

// releases returns which letters of an object were released.
func (s *Store) releases(ctx context.Context, obj object) (map[string]bool, error) {
	var ids map[string]bool
	for info, err := range s.bucket.List(ctx, s.released()+obj.day+"."+obj.request+".", "") {
		if err != nil {
			return nil, fmt.Errorf("list the released dead letters of %s: %w", s.pipeline, err)
		}
		if ids == nil {
			ids = map[string]bool{}
		}
		ids[strings.TrimSuffix(strings.TrimPrefix(info.Name, s.released()), ".json")] = true
	}
	return ids, nil
}

// counts are the letters of all days up to one.
type counts struct {
	day   string // the last day counted
	codes map[string]int64
}

// unsettled is how many days, counted back from the newest letter, Counts
// looks at again each time: a request that is retried late still changes them.
const unsettled = 2

// Counts returns how many letters there are of each code, released ones too.
// What is older than two days was counted by an earlier call and is only
// listed again by a new Store.
func (s *Store) Counts(ctx context.Context) (map[string]int64, error) {
	s.mu.Lock()
	done := s.settled
	s.mu.Unlock()
	byDay := map[string]map[string]int64{}
	from := ""
	if done.day != "" {
		from = done.day + "0" // behind every object of that day: "0" follows "/"
	}
	for o, err := range s.objects(ctx, from) {
		if err != nil {
			return nil, err
		}
		codes := o.codes
		if codes == nil {
			letters, err := s.read(ctx, o.name(s.prefix()), o)
			if errors.Is(err, bucket.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			codes = map[string]int64{}
			for i := range letters {
				codes[letters[i].Code]++
			}
		}
		if byDay[o.day] == nil {
			byDay[o.day] = map[string]int64{}
		}
		add(byDay[o.day], codes)
	}
	days := slices.Sorted(maps.Keys(byDay))
	total := map[string]int64{}
	add(total, done.codes)
	for i, day := range days {
		add(total, byDay[day])
		if i == len(days)-1-unsettled {
			s.settle(counts{day: day, codes: maps.Clone(total)})
		}
	}
	return total, nil
}

func (s *Store) settle(c counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.day > s.settled.day {
		s.settled = c
	}
}

func add(to, from map[string]int64) {
	for code, n := range from {
		to[code] += n
	}
}
