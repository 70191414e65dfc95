"""Why a deployment failed: the failed resource, its cause in plain words, the container's last lines, what to do."""
