package ccmtest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/config"
)

// A Disk fits where a store takes one.
var _ config.FS = ccmtest.NewDisk()

// TestDisk uses the names of this package for a fault of each kind.
func TestDisk(t *testing.T) {
	disk := ccmtest.NewDisk()
	disk.Fail(func(op ccmtest.DiskOp) error {
		if op.Kind == ccmtest.DiskSync {
			return syscall.ENOSPC
		}
		return nil
	})
	f, err := disk.OpenFile("f", os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	disk.Fail(nil)
	disk.CutAt(len(disk.Ops()), 1)
	if _, err := f.Write([]byte("abc")); err != ccmtest.ErrPowerCut {
		t.Error(err)
	}
	for _, loss := range ccmtest.DiskLosses() {
		if entries, err := disk.Restart(loss).ReadDir("."); err != nil || len(entries) > 1 {
			t.Errorf("%s: %v, %v", loss.Name, entries, err)
		}
	}
}

// A configuration that is saved while the disk is full.
func ExampleNewDisk() {
	disk := ccmtest.NewDisk()
	store, err := config.Open(context.Background(), config.Options{FS: disk, Dir: "ccm"})
	if err != nil {
		fmt.Println(err)
		return
	}
	disk.Fail(func(op ccmtest.DiskOp) error {
		if op.Kind == ccmtest.DiskWrite {
			return syscall.ENOSPC
		}
		return nil
	})
	change := config.Change{Key: "mqtt.server", Value: []byte(`"broker:1883"`), Vendor: true}
	fmt.Println(store.Update(change, &config.SaveOptions{}))
	fmt.Println(store.String("mqtt.server"))
	// Output:
	// write ccm/conf9.json.tmp: no space left on device
	// iot.eclipse.org:1883
}
