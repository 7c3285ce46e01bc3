package sqltext

import (
	"slices"
	"strings"
	"testing"
)

func TestLex(t *testing.T) {
	t.Parallel()
	kinds := map[Kind]string{Word: "word", Quoted: "quoted", String: "string", Number: "number", Parameter: "parameter", Sign: "sign"}
	for text, want := range map[string]string{
		"":                                "",
		" \t\r\n\f\u00a0\u3000":           "",
		"-- all":                          "",
		"-- one\rtwo -- three":            "word two",
		"/* a /* b */ c */ d":             "word d",
		"a.b AS \"c \"\"d\"":              `word a|sign .|word b|word AS|quoted "c ""d"`,
		"é$1 €":                           "word é$1|word €",
		"a\u00a0b":                        "word a|word b",
		`'it''s' E'it\'s' e'\\' x'f''0'`:  `string 'it''s'|string E'it\'s'|string e'\\'|string x'f'|string '0'`,
		"'a' -- ;\n 'b' 'c'":              "string 'a' -- ;\n 'b'|string 'c'",
		"E'a'\n'\\''":                     "string E'a'\n'\\''",
		"b'01' N'x' u'y' xx'z'":           "string b'01'|string N'x'|word u|string 'y'|word xx|string 'z'",
		"$$ ' $$ $t$ $$ $t$ $1$ $":        "string $$ ' $$|string $t$ $$ $t$|parameter $1|sign $|sign $",
		"$1 $23x ? ?4 $name $\"a b\" -$5": "parameter $1|parameter $23|word x|parameter ?|parameter ?4|parameter $name|parameter $\"a b\"|sign -|parameter $5",
		"1 1.5 .5 5. 1e5 1.e-5 1_000 1e 1..2 a1.5": "number 1|number 1.5|number .5|number 5.|number 1e5|number 1.e-5|number 1_000|number 1|word e|number 1|sign .|number .2|word a1|number .5",
		"a->>'x'::INT<=2!~~*3":                     "word a|sign ->>|string 'x'|sign ::|word INT|sign <=|number 2|sign !~~*|number 3",
		"2*/* x */3 1<--y":                         "number 2|sign *|number 3|number 1|sign <",
		"x;;":                                      "word x|sign ;|sign ;",
		"\v":                                       "sign \v",
	} {
		var got []string
		for _, k := range Lex(text) {
			got = append(got, kinds[k.Kind]+" "+k.Text)
		}
		if got := strings.Join(got, "|"); got != want {
			t.Errorf("%q:\n%q, want\n%q", text, got, want)
		}
	}
}

// What is open takes all that is left.
func TestClosed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": true, "a -- b": true, "a /* b */": true, "'a'": true, "'a'\n": true, "$1": true, "$t": true, "$": true,
		"a /* b": false, "/* /* */": false, "/*": false, "'a": false, "'a''": false, `E'a\'`: false, `E'a\`: false, "'a'\n'b": false, `"a`: false, "$$a": false, "$t$ $$": false, `$"a`: false, "x'": false,
	} {
		tokens, closed := Read(text)
		if closed != want {
			t.Errorf("%q: closed is %v", text, closed)
		}
		if n := len(tokens); !closed && !strings.Contains(text, "/*") && tokens[n-1].End() != len(text) {
			t.Errorf("%q: ends at %d", text, tokens[n-1].End())
		}
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"'it''s'": "it's", `'a\n'`: `a\n`, `E'a\nb\tc\\d\'e''f'`: "a\nb\tc\\d'e'f", `e'\x41\x4g\101\7\u00e9\U0001F600\q'`: "A\x04gA\aé😀q", `E'\x\u12'`: "xu12",
		"'a'\n'b'": "ab", "E'a'\n-- c\n'\\n'": "a\n", "$$it's$$": "it's", "$t$ $$ $t$": " $$ ", "B'01'": "b01", "X'ff'": "xff", "n'a''b'": "a'b", "'": "'", "'open": "'open", "$$": "", "$$a": "", "''": "",
	} {
		if got := Lex(text)[0].Value(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{`"A ""b"""`: `A "b"`, "Name": "name", "'x'": "", `"`: "", "$1": ""} {
		if got := Lex(text)[0].Name(); got != want {
			t.Errorf("%s: name %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]int{"$12": 12, "?3": 3, "$1_0": 1, "?": 0, "$x": 0, "$0": 0, "12": 0, "$99999999999999999999": 0} {
		if got := Lex(text)[0].Place(); got != want {
			t.Errorf("%s: place %d, want %d", text, got, want)
		}
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"": nil, " ; -- x\n;;": nil, "SELECT 1": {"SELECT 1"}, ";a;;b c;": {"a", "b c"}, "a ';' /* ; */ $$;$$; b": {"a ';' $$;$$", "b"},
	} {
		var got []string
		for _, tokens := range Split(text) {
			var words []string
			for _, k := range tokens {
				words = append(words, k.Text)
			}
			got = append(got, strings.Join(words, " "))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
