# shellcheck shell=bash
# What the commands in bin/ share. Each of them sources this file first; it moves to the top of the clone.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# shellcheck source=bin/lib/output.sh
source bin/lib/output.sh
# shellcheck source=bin/lib/jobs.sh
source bin/lib/jobs.sh
# shellcheck source=bin/lib/packages.sh
source bin/lib/packages.sh
# shellcheck source=bin/lib/build.sh
source bin/lib/build.sh
# shellcheck source=bin/lib/cluster.sh
source bin/lib/cluster.sh
