package suites

import (
	"slices"
	"strings"
	"testing"

	"sharedpid.example/fixtures/manifests"
	"sharedpid.example/helpers/suite"
)

// TestTasksAreTriedInTheirManifests: the Pod that the report offers is one that the trait looks at.
func TestTasksAreTriedInTheirManifests(t *testing.T) {
	for _, task := range tasks {
		for _, way := range task.Ways {
			at := slices.IndexFunc(Traits(), func(trait suite.Trait) bool { return trait.ID == way.Trait })
			if at < 0 {
				t.Errorf("%s: there is no trait %s", task.Name, way.Trait)
				continue
			}
			if way.Pod == "" {
				continue
			}
			objects, err := manifests.Read(way.Pod + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			of := suite.Fixture{Name: "manifest", Objects: manifest(way.Pod + ".yaml")}
			want, err := of.Pods()
			if err != nil || len(objects) == 0 {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(Traits()[at].AllFixtures(), func(fixture suite.Fixture) bool {
				pods, err := fixture.Pods()
				return err == nil && !fixture.Unshared && len(pods) == len(want) && pods[0].Spec.Containers[0].Name == want[0].Spec.Containers[0].Name &&
					len(pods[0].Spec.Containers) == len(want[0].Spec.Containers)
			}) {
				t.Errorf("%s: %s does not look at %s", task.Name, way.Trait, way.Pod)
			}
		}
	}
}

// TestTasksAreAnswered by what was recorded of a healthy runtime.
func TestTasksAreAnswered(t *testing.T) {
	run := readRecording(t, "testdata/healthy.json.gz")
	run, err := suite.JudgeAgain(run, Traits())
	if err != nil {
		t.Fatal(err)
	}
	run.Tasks = Tasks(Traits())
	var got []string
	for _, task := range run.AnswerTasks() {
		for _, way := range task.Ways {
			got = append(got, task.Name+" with "+way.Needs+": "+way.Text())
			if (way.Text() == "yes") != (way.Reason == "") || way.Pod != "" && !strings.Contains(run.Tasks.Manifests[way.Pod], "kind: Pod") {
				t.Errorf("%s: %+v", task.Name, way)
			}
		}
	}
	if answers := strings.Join(got, "\n"); answers != strings.TrimSpace(`
see with nothing: yes
reload with the uid of the server's main process: yes
read with the uid and gid of the process, and its capabilities: yes
read with root, and CAP_SYS_PTRACE added: yes
trace with the uid and gid of the process, and its capabilities: yes
trace with root, and CAP_SYS_PTRACE added: yes
attach with the uid and gid of the process, and its capabilities: yes
watch with the uid and gid of the process, and its capabilities: yes
profile with the uid and gid of the process, and its capabilities: yes
profile with root, and CAP_PERFMON added: yes
debug with --profile=sysadmin, where the Pod names a user: no
debug with runAsUser 0 and CAP_SYS_PTRACE, with --custom: yes
end with the uid of the process: yes
end with root, with CAP_KILL as runtimes give it: yes
restart with nothing: yes
finish with root, with CAP_KILL as runtimes give it, and a helper that exits 0 on TERM: yes
reap with nothing: yes
spy with the uid and gid of the process, and its capabilities: yes
spy with root, and CAP_PERFMON added: yes
spy with root, and CAP_SYS_PTRACE added: yes
tamper with the uid and gid of the process, and its capabilities: yes
tamper with root, and CAP_SYS_PTRACE added: yes
take along with a uid of its own: no
take along with root, with CAP_KILL as runtimes give it: yes`) {
		t.Error(answers)
	}
}

func TestTasksOfFewTraits(t *testing.T) {
	traits := slices.DeleteFunc(Traits(), func(trait suite.Trait) bool { return trait.Profile != suite.Article })
	if of := Tasks(traits); len(of.Questions) != 1 || of.Questions[0].Name != "see" || len(of.Manifests) != 1 || Tasks(nil) != nil {
		t.Errorf("%+v", of)
	}
}
