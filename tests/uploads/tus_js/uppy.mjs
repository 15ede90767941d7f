// Uppy with @uppy/tus, as its own pages show it, for a page to call: `send(endpoint, key, name, content, options)`.
import Uppy from '@uppy/core'
import Tus from '@uppy/tus'

export async function send(endpoint, key, name, content, options) {
  const uppy = new Uppy()
  uppy.use(Tus, { endpoint, headers: { 'X-API-Key': key }, addRequestId: true, ...options })
  const meta = { filename: `${name}.csv`, dataset_name: name, description: 'Levels.', def_tar_att: 'c1', publish: 'true' }
  uppy.addFile({ name: `${name}.csv`, type: 'text/csv', data: new Blob([content]), meta })
  const { successful, failed } = await uppy.upload()
  return { urls: successful.map((file) => file.uploadURL), errors: failed.map((file) => String(file.error)) }
}
