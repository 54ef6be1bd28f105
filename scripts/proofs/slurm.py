"""A Slurm of one node, of Debian's packages, unpacked: no service is installed, and nothing of it outlives the block."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time

from .common import WORK

PACKAGES = ("libhwloc15", "liblua5.1-0", "libmunge2", "slurm-wlm-basic-plugins", "slurm-client", "slurmd", "slurmctld")
READY_S = 30
CONFIG = """
ClusterName=proof
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={daemon}
AuthType=auth/none
CredType=cred/none
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={dir}/state
SlurmdSpoolDir={dir}/spool
SlurmctldPidFile={dir}/slurmctld.pid
SlurmdPidFile={dir}/slurmd.pid
PluginDir={plugins}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
MaxArraySize=1001
NodeName={host} NodeAddr=127.0.0.1 CPUs={tasks} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def unpacked():
    """Where the packages are; None where they cannot be had."""
    root = WORK / "slurm" / "root"
    if not (root / "usr/bin/sbatch").exists():
        debs = WORK / "slurm" / "debs"
        debs.mkdir(parents=True, exist_ok=True)
        fetched = subprocess.run(["apt-get", "download", "-qq", *PACKAGES], cwd=debs, stderr=subprocess.DEVNULL)
        if fetched.returncode != 0:
            return None
        for deb in debs.glob("*.deb"):
            subprocess.run(["dpkg", "-x", deb, root], check=True)
    return root


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def slurm(tasks):
    """(environment, folder of the commands) of a Slurm that runs so many tasks at once; None where it cannot be had."""
    root = unpacked()
    if root is None:
        yield None
        return
    directory = WORK / "slurm" / "run"
    shutil.rmtree(directory, ignore_errors=True)
    for name in ("state", "spool"):
        (directory / name).mkdir(parents=True)
    libraries = root / "usr/lib/x86_64-linux-gnu"
    host = socket.gethostname().split(".")[0]
    config = directory / "slurm.conf"
    ports = {"control": free_port(), "daemon": free_port()}
    user = os.environ.get("USER") or "root"
    config.write_text(CONFIG.format(host=host, user=user, dir=directory, plugins=libraries / "slurm-wlm", tasks=tasks, **ports))
    environment = {**os.environ, "SLURM_CONF": str(config), "LD_LIBRARY_PATH": f"{libraries}:{libraries}/slurm-wlm"}
    commands = root / "usr/bin"
    daemons = [
        [root / "usr/sbin/slurmctld-wlm", "-D", "-c", "-f", config],
        [root / "usr/sbin/slurmd-wlm", "-D", "-c", "-N", host, "-f", config, "-d", root / "usr/sbin/slurmstepd-wlm"],
    ]
    running = []
    try:
        for command in daemons:
            log = open(directory / f"{command[0].name}.log", "w")
            running.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True))
        deadline = time.monotonic() + READY_S
        state = ""
        while time.monotonic() < deadline and state != "idle":
            time.sleep(0.5)
            asked = subprocess.run([commands / "sinfo", "-h", "-o", "%T"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            state = asked.stdout.strip()
        yield (environment, commands) if state == "idle" else None
    finally:
        subprocess.run([commands / "scancel", "--user", user], env=environment, stderr=subprocess.DEVNULL)
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
