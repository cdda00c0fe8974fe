"""The file server: uploads, downloads and deletes of files of experiments (debug images, media, artifacts, models). `names` defines allowed
names and their places on disk, `storage` keeps the bytes, `uploads` reads multipart bodies as they come, `web` is
the HTTP face, `wiring` ties it to the login of the API. Nothing here knows tasks beyond their id in a name.
"""
