package sqltext

// Takes is how many values the parameters of a text take: the highest of their
// numbers, or how many ? there are.
func Takes(s string) int {
	most, asked := 0, 0
	for i := 0; ; {
		t, _ := Next(s, i)
		if t.Text == "" {
			return max(most, asked)
		}
		i = t.End()
		if t.Text == "?" && t.Kind == Parameter {
			asked++
		}
		most = max(most, t.Place())
	}
}
