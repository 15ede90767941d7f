// tus-js-client, as its own README shows it: node upload.mjs ENDPOINT FILE DATASET_NAME; the key in OPENML_APIKEY.
import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { Upload } from 'tus-js-client'

const [endpoint, path, name] = process.argv.slice(2)

const upload = new Upload(createReadStream(path), {
  endpoint,
  headers: { 'X-API-Key': process.env.OPENML_APIKEY },
  metadata: { filename: basename(path), dataset_name: name, description: 'Levels.', def_tar_att: 'c1', publish: 'true' },
  retryDelays: [0, 50, 100, 200, 500, 1000],
  onSuccess() {
    console.log(upload.url)
  },
  onError(error) {
    console.error(error)
    process.exitCode = 1
  },
})
upload.start()
