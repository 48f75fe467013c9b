package reports

import "slices"

// htmlClaim is one claim of the article, with what became of it on every subject.
type htmlClaim struct {
	htmlResult           // of the subject that needs attention most
	Others     []claimed // the other subjects, when there are several
	Held       int       // subjects on which it was observed as stated
	Of         int
}

// claimed is a verdict with the place that it is explained in.
type claimed struct {
	ID, Subject string
	Verdict     Verdict
}

// claimedShown is how many other subjects a claim lists; the grid shows all.
const claimedShown = 12

// htmlClaims gathers what the article documents, trait by trait. Results are in the order of the outcomes.
func htmlClaims(outcomes []Result, results []htmlResult) []htmlClaim {
	var claims []htmlClaim
	for start := 0; start < len(outcomes); {
		end := start + 1
		for end < len(outcomes) && outcomes[end].Trait == outcomes[start].Trait {
			end++
		}
		// What did not run does not know whether it is documented.
		if slices.ContainsFunc(outcomes[start:end], func(outcome Result) bool { return outcome.Documented }) {
			claims = append(claims, newHTMLClaim(outcomes[start:end], results[start:end]))
		}
		start = end
	}
	return claims
}

func newHTMLClaim(outcomes []Result, results []htmlResult) htmlClaim {
	claim := htmlClaim{Of: len(outcomes)}
	first := 0
	for i, outcome := range outcomes {
		if outcome.Verdict == Conformant || outcome.Verdict == Vanished {
			claim.Held++
		}
		if attention(outcome.Verdict) < attention(outcomes[first].Verdict) {
			first = i
		}
	}
	claim.htmlResult = results[first]
	for i, result := range results {
		if i != first && len(claim.Others) < claimedShown {
			claim.Others = append(claim.Others, claimed{result.ID, result.Subject, result.Verdict})
		}
	}
	return claim
}
