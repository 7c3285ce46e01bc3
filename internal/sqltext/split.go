package sqltext

// Split cuts a text at its semicolons, and returns the tokens of each statement.
// What has none is no statement.
func Split(s string) [][]Token {
	var out [][]Token
	all := Lex(s)
	for from, i := 0, 0; i <= len(all); i++ {
		if i < len(all) && !all[i].Is(";") {
			continue
		}
		if i > from {
			out = append(out, all[from:i:i])
		}
		from = i + 1
	}
	return out
}
