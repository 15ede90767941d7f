// tus-js-client, as its own README shows it: node upload.mjs ENDPOINT FILE DATASET_NAME [OPTIONS]; the key in
// OPENML_APIKEY. OPTIONS are those of tus-js-client as JSON, and two of ours: `urls`, a file in which it keeps where
// uploads are, and `abortAfter`, bytes after which it gives up as if the process had ended.
import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { PassThrough } from 'node:stream'
import { Upload } from 'tus-js-client'
import { FileUrlStorage } from 'tus-js-client/lib.esm/node/urlStorage.js'

const [endpoint, path, name, given] = process.argv.slice(2)
const { urls, abortAfter, ...options } = JSON.parse(given ?? '{}')
let sent = 0

// Of a file it would know the length.
const source = options.uploadLengthDeferred ? createReadStream(path).pipe(new PassThrough()) : createReadStream(path)
const upload = new Upload(source, {
  endpoint,
  headers: { 'X-API-Key': process.env.OPENML_APIKEY },
  metadata: { filename: basename(path), dataset_name: name, description: 'Levels.', def_tar_att: 'c1', publish: 'true' },
  retryDelays: [0, 50, 100, 200, 500, 1000],
  ...(urls ? { urlStorage: new FileUrlStorage(urls) } : {}),
  ...options,
  onProgress(bytes) {
    sent = bytes
  },
  onChunkComplete(_size, accepted) {
    if (abortAfter && accepted >= abortAfter) upload.abort().then(() => console.log(JSON.stringify({ accepted })))
  },
  onSuccess() {
    console.log(JSON.stringify({ url: upload.url, sent }))
  },
  onError(error) {
    console.error(error)
    process.exitCode = 1
  },
})
const previous = urls ? await upload.findPreviousUploads() : []
if (previous.length) {
  console.log(JSON.stringify({ resumed: previous[0].uploadUrl ?? previous[0].parallelUploadUrls }))
  upload.resumeFromPreviousUpload(previous[0])
}
upload.start()
