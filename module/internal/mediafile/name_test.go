package mediafile

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

func TestName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	for _, tc := range []struct{ name, address, want string }{
		{"file", "https://files.example.com/a/report.pdf", "report.pdf"},
		{"query", "https://files.example.com/a/report.pdf?token=s3cret&name=s3cret.pdf", "report.pdf"},
		{"fragment", "https://files.example.com/a/report.pdf#s3cret", "report.pdf"},
		{"escaped", "https://files.example.com/%E6%8A%A5%E5%91%8A%202024.pdf", "报告 2024.pdf"},
		{"not escaped", "https://files.example.com/报告.pdf", "报告.pdf"},
		{"escaped twice", "https://files.example.com/a%252Fb.pdf", "a%2Fb.pdf"},
		{"path in a segment", "https://files.example.com/o/folder%2Fphoto.png?alt=media", "photo.png"},
		{"backslashes", `https://files.example.com/C:%5Cfolder%5Cphoto.png`, "photo.png"},
		{"parameters", "https://files.example.com/report.pdf;jsessionid=s3cret", "report.pdf"},
		{"semicolon", "https://files.example.com/a;b.pdf", "a;b.pdf"},
		{"folder", "https://files.example.com/a/b/", "b"},
		{"host", "https://files.example.com", "files.example.com"},
		{"host with port and user", "https://user:s3cret@files.example.com:8443/?s3cret", "files.example.com"},
		{"dots", "https://files.example.com/a/..", "files.example.com"},
		{"dots, escaped", "https://files.example.com/%2e%2e", "files.example.com"},
		{"lines and controls", "https://files.example.com/a%0d%0ab%00%1b%5b31m%09c.pdf", "a b[31m c.pdf"},
		{"turned around", "https://files.example.com/a%E2%80%AEfdp.exe", "afdp.exe"},
		{"invisible", "https://files.example.com/%E2%80%8B%EF%BB%BF", "files.example.com"},
		{"joined emoji", "https://files.example.com/%F0%9F%91%A9%E2%80%8D%F0%9F%92%BB.png", "👩‍💻.png"},
		{"not UTF-8", "https://files.example.com/a%ff%feb.pdf", "ab.pdf"},
		{"long", "https://files.example.com/" + long + ".pdf", strings.Repeat("x", 55) + "….pdf"},
		{"long without extension", "https://files.example.com/" + long, strings.Repeat("x", 59) + "…"},
		{"long extension", "https://files.example.com/a." + long, "a." + strings.Repeat("x", 57) + "…"},
		{"just fits", "https://files.example.com/" + long[:60], long[:60]},
		{"not an address", "http://[::1", ""},
		{"nothing", "", ""},
		{"mail", "mailto:someone@example.com", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := Name(tc.address); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func FuzzName(f *testing.F) {
	f.Add("https://files.example.com/a/report.pdf?token=s3cret")
	f.Add("https://files.example.com/%E2%80%AE" + strings.Repeat("%CC%81", 300))
	f.Fuzz(func(t *testing.T, address string) {
		got := Name(address)
		if !utf8.ValidString(got) || uniseg.GraphemeClusterCount(got) > nameLength || len(got) > 64*nameLength {
			t.Fatalf("%q", got)
		}
		if strings.ContainsAny(got, "\r\n\t\x00\u202e/\\") || strings.TrimSpace(got) != got {
			t.Fatalf("%q", got)
		}
		if before, query, ok := strings.Cut(address, "?s3cret"); ok && !strings.Contains(before+query, "s3cret") && strings.Contains(got, "s3cret") && !strings.Contains(before, "#") {
			t.Fatalf("%q shows the query", got)
		}
	})
}
