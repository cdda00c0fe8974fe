"""The file server: uploads, downloads and deletes files of tasks (debug images, media, artifacts, models). `names` maps file names to paths on
disk, `storage` reads and writes files, `uploads` parses multipart bodies as a stream, `web` is the HTTP face, `wiring` connects it to the API's
authentication. A file belongs to a task through the task id in its name.
"""
