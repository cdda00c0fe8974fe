"""`tidemark` with short deadlines, so that tests of slow clients and of guessed passwords take seconds."""

import apiserver.__main__  # patches, so it comes first
import apiserver.serving.worker
from apiserver.bll.registry import passwords

apiserver.serving.worker.HEAD_SECONDS = apiserver.serving.worker.GRACE = apiserver.serving.worker.KEPT_SECONDS = 1.5
apiserver.serving.worker.STRANGER_SECONDS = 3.0
passwords.SHORTEST_DELAY = passwords.LONGEST_DELAY = 0.02
passwords.ATTEMPTS = 8
apiserver.__main__.main()
