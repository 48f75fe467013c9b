package html

import (
	"slices"

	"sharedpid.example/reports"
)

// claim is one claim of the article, with what became of it on every target.
type claim struct {
	shownResult           // of the target that needs attention most
	Others      []claimed // the other targets, when there are several
	Held        int       // targets on which it was observed as stated
	Of          int
}

// claimed is a verdict with the place that it is explained in.
type claimed struct {
	ID, Target string
	Verdict    reports.Verdict
}

// claimedShown is how many other targets a claim lists; the grid shows all.
const claimedShown = 12

// newClaims gathers what the article documents, trait by trait. Results are in the order of the outcomes, and all are the outcomes of all
// targets, of which several may be shown as one.
func newClaims(outcomes []reports.Result, results []shownResult, all []reports.Result) []claim {
	of := map[string][]reports.Result{}
	for _, outcome := range all {
		of[outcome.Trait] = append(of[outcome.Trait], outcome)
	}
	var claims []claim
	for start := 0; start < len(outcomes); {
		end := start + 1
		for end < len(outcomes) && outcomes[end].Trait == outcomes[start].Trait {
			end++
		}
		// What did not run does not know whether it is documented.
		if slices.ContainsFunc(outcomes[start:end], func(outcome reports.Result) bool { return outcome.Documented }) {
			claims = append(claims, newClaim(outcomes[start:end], results[start:end], of[outcomes[start].Trait]))
		}
		start = end
	}
	return claims
}

func newClaim(outcomes []reports.Result, results []shownResult, all []reports.Result) claim {
	claim := claim{Of: len(all)}
	for _, outcome := range all {
		if outcome.Verdict == reports.Conformant || outcome.Verdict == reports.Resolved {
			claim.Held++
		}
	}
	first := 0
	for i, outcome := range outcomes {
		if outcome.Verdict.Attention() < outcomes[first].Verdict.Attention() {
			first = i
		}
	}
	claim.shownResult = results[first]
	for i, result := range results {
		if i != first && len(claim.Others) < claimedShown {
			claim.Others = append(claim.Others, claimed{result.ID, result.Target, result.Verdict})
		}
	}
	return claim
}
