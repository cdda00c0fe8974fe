"""`tidemark` with short deadlines, so that tests of slow clients take seconds."""

import apiserver.__main__  # patches, so it comes first
import apiserver.worker

apiserver.worker.HEAD_SECONDS = apiserver.worker.GRACE = 1.5
apiserver.__main__.main()
