package sql

/*
#include <stdlib.h>

#include "overlay.h"
*/
import "C"

import (
	"database/sql"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"anabranch/fault"
)

// inC copies a filter to C memory, all of it in one piece.
func (c *filter) inC() unsafe.Pointer {
	var nodes, pointers, numbers, texts, chars int
	var count func(c *filter)
	count = func(c *filter) {
		nodes++
		pointers += len(c.of)
		numbers += 2 * len(c.spans)
		texts += len(c.ranges)
		for _, r := range c.ranges {
			chars += len(r.least) + len(r.most)
		}
		for _, o := range c.of {
			count(o)
		}
	}
	count(c)
	node, pointer, number, value := int(unsafe.Sizeof(C.condition{})), int(unsafe.Sizeof(uintptr(0))), 8, int(unsafe.Sizeof(C.text{}))
	all := zeroed(nodes*node + pointers*pointer + numbers*number + 2*texts*value + texts + chars)
	at := all
	take := func(n int) unsafe.Pointer {
		p := at
		at = unsafe.Add(at, n)
		return p
	}
	node0 := take(nodes * node)
	pointer0 := take(pointers * pointer)
	number0 := take(numbers * number)
	text0 := take(2 * texts * value)
	open0 := take(texts)
	var put func(c *filter) *C.condition
	put = func(c *filter) *C.condition {
		n := (*C.condition)(node0)
		node0 = unsafe.Add(node0, node)
		n.kind, n.column = C.int32_t(c.kind), C.uint32_t(c.column)
		n.n = C.uint64_t(len(c.of) + len(c.spans) + len(c.ranges)) // only one of them is there
		n.of = (**C.condition)(pointer0)
		of := unsafe.Slice((**C.condition)(pointer0), len(c.of))
		pointer0 = unsafe.Add(pointer0, len(c.of)*pointer)
		n.number = (*C.int64_t)(number0)
		copy(unsafe.Slice((*span)(number0), len(c.spans)), c.spans)
		number0 = unsafe.Add(number0, 2*len(c.spans)*number)
		n.text, n.open = (*C.text)(text0), (*C.uint8_t)(open0)
		texts, open := unsafe.Slice((*C.text)(text0), 2*len(c.ranges)), unsafe.Slice((*C.uint8_t)(open0), len(c.ranges))
		text0, open0 = unsafe.Add(text0, 2*len(c.ranges)*value), unsafe.Add(open0, len(c.ranges))
		for i, r := range c.ranges {
			open[i] = C.uint8_t(r.open)
			for j, s := range []string{r.least, r.most} {
				texts[2*i+j].size = C.uint32_t(len(s))
				p := take(len(s))
				copy(unsafe.Slice((*byte)(p), len(s)), s)
				texts[2*i+j].bytes = (*C.char)(p)
			}
		}
		for i, o := range c.of {
			of[i] = put(o)
		}
		return n
	}
	put(c)
	return all
}

// choice is what of an overlay a query needs, in C memory.
type choice struct {
	of         *laid
	where      unsafe.Pointer
	chosen     *C.chosen
	connection bool // it is attached to one
}

// choose finds the rows of an overlay that have what is wanted, or rather the
// pages that may have some; it costs a look at each page. The overlay has to stay until free.
func (l *laid) choose(c *filter) (*choice, error) {
	where := c.inC()
	chosen := C.overlay_choose(l.sheet.o, (*C.condition)(where))
	if chosen == nil {
		C.free(where)
		return nil, fault.New(fault.Full, "no memory for what a query needs of %d groups", l.rows)
	}
	return &choice{of: l, where: where, chosen: chosen}, nil
}

// rows counts them.
func (c *choice) rows() int { return int(C.overlay_chosen_rows(c.chosen)) }

// attach has every scan of the overlay that is planned on a connection from now
// on hand out no more, until free.
func (c *choice) attach(conn bindings.Connection) {
	var of bindings.ClientContext
	bindings.ConnectionGetClientContext(conn, &of)
	C.overlay_attach(c.of.sheet.o, c.chosen, C.uint64_t(bindings.ClientContextGetConnectionId(of)))
	bindings.DestroyClientContext(&of)
	c.connection = true
}

// free lets it go, when nothing runs any more on the connection.
func (c *choice) free() {
	if c.connection {
		C.overlay_detach(c.of.sheet.o, c.chosen)
	}
	C.free(unsafe.Pointer(c.chosen))
	C.free(c.where)
}

// filters are what a query needs of the overlays of an epoch.
func (ep *epoch) filters(needs map[string]*need) map[string]*filter {
	all := map[string]*filter{}
	for view, n := range needs {
		l := ep.laid[view]
		if l == nil || l.rows == 0 {
			continue
		}
		if c := n.typed(l.form.fields); c != nil {
			all[view] = c
		}
	}
	return all
}

// narrow has what runs on a connection from now on read no more of the overlays
// than these filters let through, until undone.
func (ep *epoch) narrow(conn *sql.Conn, filters map[string]*filter) (undo func(), err error) {
	var choices []*choice
	undo = func() {
		for _, c := range choices {
			c.free()
		}
	}
	err = conn.Raw(func(dc any) error {
		for view, c := range filters {
			chosen, err := ep.laid[view].choose(c)
			if err != nil {
				return err
			}
			choices = append(choices, chosen)
			h, err := handle[bindings.Connection](dc, "conn")
			if err != nil {
				return err
			}
			chosen.attach(h)
		}
		return nil
	})
	if err != nil {
		undo()
		return nil, err
	}
	return undo, nil
}
