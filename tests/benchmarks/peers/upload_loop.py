"""What a user would write first: google-cloud-storage in a loop, a file at a time.

python upload_loop.py ENDPOINT BUCKET FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

endpoint, bucket_name, folder = sys.argv[1:]
client = storage.Client(
    project="local-project",
    credentials=AnonymousCredentials(),
    client_options={"api_endpoint": endpoint},
)
bucket = client.bucket(bucket_name)
root = Path(folder)
for path in sorted(root.rglob("*.json")):
    bucket.blob(str(path.relative_to(root))).upload_from_filename(path)
