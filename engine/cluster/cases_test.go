package cluster

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// cases names the tests of each thing that a cluster has to survive. contract is
// what every broker has to pass, as TestNATSIsABroker of natsbroker does.
var cases = map[string]string{
	"C01 a node is killed":                          "live.TestNodesAreKilled live.TestResumeAtAnotherNode",
	"C02 a server of a replicated stream ends":      "natsbroker.TestLeaderEnds live.TestNodesAreKilled",
	"C03 the broker is down":                        "natsbroker.TestServerRestarts live.TestBrokerIsDown",
	"C04 it restarts, with its store or without":    "TestBrokerRestarts natsbroker.TestServerRestarts live.TestStoreIsReplaced",
	"C05 a node is cut off":                         "natsbroker.TestNodeIsCutOffByTheNetwork natsbroker.TestSilentConnectionIsFound live.TestNodeIsCutOff",
	"C06 a node takes live messages too slowly":     "natsbroker.TestSlowConsumerIsAGap",
	"C07 publishers on several nodes":               "TestOneOrderOnAllNodes clustertest.oneOrder live.TestLiveIsEncodedOnceForEachNode",
	"C08 one id published twice at once":            "clustertest.sameIDAtOnce",
	"C09 races of subscribing, leaving and ends":    "TestNothingIsLeftOver live.TestNothingIsLeftOver",
	"C10 recovery while it is published":            "TestModel clustertest.nodes live.TestModel",
	"C11 positions that are not there":              "TestLostPositions live.TestLostPositionIsReset",
	"C12 a store of yesterday":                      "TestBrokerRestarts natsbroker.TestServerRestarts live.TestStoreIsReplaced",
	"C13 a server stops, and its connections stand": "natsbroker.TestServerStops natsbroker.TestSilentConnectionIsFound",
	"C14 everybody comes back at once":              "TestRecoveryStormReadsOnce TestWhatWasReadMeanwhileIsNotReadAgain live.TestEverybodyComesBackAtOnce",
	"C15 a reader stalls":                           "TestSlowReaderGoesOnFromHistory live.TestSlowReaderCatchesUp",
	"C16 joins and leaves in masses":                "presence.TestStorm",
	"C17 one id published on two nodes":             "clustertest.sameIDAtOnce live.TestNodesAreKilled",
	"C18 names of topics":                           "clustertest.names natsbroker.FuzzTokens",
	"C19 the disk is full":                          "natsbroker.TestFullStore natsbroker.TestDiskIsFull",
}

// Each case has a test, and each test that is named is there.
func TestCasesHaveTests(t *testing.T) {
	for name, tests := range cases {
		for _, test := range strings.Fields(tests) {
			dir, function, found := strings.Cut(test, ".")
			if !found {
				dir, function = "", test
			}
			if !declares(t, dir, function) {
				t.Errorf("%s: there is no %s", name, test)
			}
		}
	}
}

// declares reports whether a function is in the files of a folder.
func declares(t *testing.T, dir, function string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	declaration := regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + function + `\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if declaration.Match(text) {
			return true
		}
	}
	return false
}
