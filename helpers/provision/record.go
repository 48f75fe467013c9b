package provision

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sharedpid.example/helpers/workspace"
)

// record says which cluster of a name is ours: one without a record is somebody else's.
type record struct {
	Engine string `json:"engine"`
	Image  string `json:"image"`
	Worker string `json:"worker,omitempty"` // image that a further worker was made of, or whose programs it got since
	// Handlers are the names of the runtime handlers that its nodes got, Folder is where they came from.
	Handlers []string  `json:"handlers,omitempty"`
	Folder   string    `json:"folder,omitempty"`
	Created  time.Time `json:"created"`
	Ready    bool      `json:"ready"` // the creation went through
	Kept     bool      `json:"kept"`  // it outlives its run, until Clean
}

// folder holds what is kept of the cluster of one name: its record, its kubeconfig and its lock.
type folder string

// clusterFolder returns the folder of a cluster below the cache directory. A name that would lead elsewhere is an error.
func clusterFolder(name string) (folder, error) {
	if err := checkClusterName(name); err != nil {
		return "", err
	}
	cache, err := workspace.Cache()
	return folder(filepath.Join(cache, "clusters", name)), err
}

func (folder folder) kubeconfig() string { return filepath.Join(string(folder), "kubeconfig") }
func (folder folder) record() string     { return filepath.Join(string(folder), "record.json") }
func (folder folder) unfinished() string { return folder.record() + ".new" }
func (folder folder) lock() string       { return filepath.Join(string(folder), "lock") }

// read returns the record, and whether there is one.
func (folder folder) read() (ours record, found bool, err error) {
	content, err := os.ReadFile(folder.record())
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, false, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &ours)
	}
	if err != nil {
		return record{}, false, fmt.Errorf("%s: %w", folder.record(), err)
	}
	return ours, true, nil
}

// write puts a record in the place of the one before, which stays whole when the process is killed meanwhile or the disk is full.
// Only who holds the cluster's lock may write.
func (folder folder) write(ours record) error {
	content, err := json.Marshal(ours)
	if err != nil {
		return err
	}
	if err := os.WriteFile(folder.unfinished(), content, 0o600); err != nil {
		return err
	}
	return os.Rename(folder.unfinished(), folder.record())
}

// forget removes the kubeconfig and the record of a cluster of ours that is gone. Without a record it removes nothing.
func (folder folder) forget() error {
	if _, err := os.Stat(folder.record()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// The record goes last: it says that the kubeconfig is ours to remove.
	for _, file := range []string{folder.unfinished(), folder.kubeconfig(), folder.record()} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// recorded returns the names of the clusters that were created and not deleted.
func recorded() ([]string, error) {
	cache, err := workspace.Cache()
	if err != nil {
		return nil, err
	}
	records, err := filepath.Glob(folder(filepath.Join(cache, "clusters", "*")).record())
	var names []string
	for _, path := range records {
		names = append(names, filepath.Base(filepath.Dir(path)))
	}
	return names, err
}
