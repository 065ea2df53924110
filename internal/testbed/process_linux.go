package testbed

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill a program when the thread that starts it
// ends, even if the test is killed itself.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
