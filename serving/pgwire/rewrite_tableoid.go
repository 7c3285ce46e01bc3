package pgwire

// madeHere reports whether the column tableoid of the alias before i is one
// that a subquery calls so.
func madeHere(toks []token, i int) bool {
	if i < 2 || !toks[i-1].Is(".") {
		return false
	}
	alias := toks[i-2].Name()
	for j := 1; j < len(toks); j++ { // ) AS alias
		named := j+1 == len(toks) || !toks[j+1].Is(".") // not the beginning of a column
		if toks[j].Name() == alias && named && (toks[j-1].Is(")") || j > 1 && toks[j-1].Is("as") && toks[j-2].Is(")")) {
			return true
		}
	}
	return false
}

// class is the number of the relation whose tableoid stands at i; that of
// pg_class, whose rows are all that has descriptions, where it is not known.
func (r *rewriter) class(i int) uint32 {
	alias := ""
	if r.at(i - 1).Is(".") {
		alias = r.at(i - 2).Name()
	}
	for j := range r.toks {
		n := r.toks[j].Name()
		if systemOIDs[n] == 0 || r.at(j+1).Is(".") {
			continue
		}
		if n == alias || alias == "" && j > i || alias != "" && r.alias(j+1).Name() == alias {
			return systemOIDs[n]
		}
	}
	return systemOIDs["pg_class"]
}

// inList reports whether the token at i stands in the list of a SELECT, inside of
// no call.
func (r *rewriter) inList(i int) bool {
	depth := 0
	for i--; i >= 0; i-- {
		switch t := r.toks[i]; {
		case t.Is(")"):
			depth++
		case t.Is("("):
			if depth == 0 {
				return false
			}
			depth--
		case depth > 0:
		case t.Is("select"):
			return true
		case t.Is("from"), t.Is("where"), t.Is("by"):
			return false
		}
	}
	return false
}
