import { screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import type { Schemas } from '@/lib/api'
import { answer, refuse } from '@/test/api'
import { executionDetail, pipelineDetail, pipelineVersion } from '@/test/factories'
import { renderApp } from '@/test/render'
import { server } from '@/test/server'

const DRAFT = pipelineVersion({
  version: 4,
  state: 'draft',
  based_on: 3,
  published_at: null,
  published_by: null,
  note: 'both at once',
  source: 'id: orders\n# drafted\n',
  inputs_schema: { type: 'object', properties: { day: { type: 'string' } } },
})
const DIFF: Schemas['PipelineDiff'] = {
  pipeline_id: 'orders',
  old: 3,
  new: 4,
  identical: false,
  added: ['rates'],
  removed: [],
  changed: [{ stage: 'price', keys: ['needs'] }],
  settings: [],
  text: '--- version 3\n+++ version 4\n@@ -4,1 +4,1 @@\n-    needs: [load]\n+    needs: []\n',
}

/** Pipeline `orders` at version 3 with a draft 4; what the dashboard does to them is done. */
function serve(published = 3) {
  let pipeline = pipelineDetail({ version: published, drafts: [4] })
  let versions = [DRAFT, pipelineVersion({ version: published })]
  const seen: string[] = []
  server.use(
    answer('GET /api/pipelines/:id', () => pipeline),
    answer('GET /api/pipelines/:id/versions', () => versions),
    http.get('*/api/pipelines/:id/versions/:version', ({ params }) =>
      HttpResponse.json(versions.find((one) => one.version === Number(params.version)) ?? {}),
    ),
    answer('GET /api/pipelines/:id/versions/:version/diff/:other', DIFF),
    http.post('*/api/pipelines/:id/versions/:version/publish', ({ request }) => {
      seen.push(
        `publish ${request.headers.get('If-Match')} ${new URL(request.url).searchParams.get('note')}`,
      )
      pipeline = pipelineDetail({ version: 4 })
      versions = [{ ...DRAFT, state: 'published' as const }, pipelineVersion()]
      return HttpResponse.json(pipeline)
    }),
    http.delete('*/api/pipelines/:id/versions/:version', ({ params }) => {
      seen.push(`discard ${params.version}`)
      pipeline = pipelineDetail({ version: published })
      versions = [pipelineVersion({ version: published })]
      return HttpResponse.json({ message: 'Draft 4 discarded.' })
    }),
    http.post('*/api/pipelines/:id/versions', async ({ request }) => {
      seen.push(`save ${new URL(request.url).search} ${await request.text()}`)
      const made = { ...DRAFT, version: 5 }
      pipeline = pipelineDetail({ version: published, drafts: [5] })
      versions = [made, pipelineVersion({ version: published })]
      return HttpResponse.json(made, { status: 201 })
    }),
  )
  return seen
}

it('compares a draft with what runs and publishes it with a note', async () => {
  const seen = serve()
  const { user, location } = renderApp('/pipelines/orders')
  await user.click(await screen.findByRole('link', { name: '1 draft' }))
  expect(location()).toBe('/pipelines/orders?tab=versions&version=4')
  expect(await screen.findByRole('button', { name: /^Draft 4 *from version 3/ })).toBeVisible()
  expect(screen.getByRole('button', { name: /^Version 3 *runs now/ })).toBeVisible()
  const card = within(screen.getByRole('region', { name: 'The version' }))
  expect(await card.findByText(/which runs now: it adds rates and changes price$/)).toBeVisible()
  expect(card.getByText('+ needs: []', { exact: false })).toHaveClass('text-state-success')

  await user.click(card.getByRole('button', { name: 'Publish…' }))
  const dialog = within(screen.getByRole('dialog'))
  const note = dialog.getByRole('textbox', { name: /^Note/ })
  expect(note).toHaveValue('both at once')
  await user.clear(note)
  await user.type(note, 'agreed')
  await user.click(dialog.getByRole('button', { name: 'Publish it' }))
  expect(await screen.findByText('Version 4 runs from now on.')).toBeVisible()
  expect(seen).toEqual(['publish "3" agreed'])
  expect(await screen.findByRole('button', { name: /^Version 4 *runs now/ })).toBeVisible()
  expect(screen.queryByRole('button', { name: 'Publish…' })).toBeNull()
})

it('says what publishing an outdated draft would take back, and does it when told', async () => {
  const seen = serve(5)
  const { user } = renderApp('/pipelines/orders?tab=versions&version=4')
  const warning = /made from version 3, and version 5 was published since/
  expect(await screen.findByText(warning)).toBeVisible()
  await user.click(screen.getByRole('button', { name: 'Publish…' }))
  const dialog = within(screen.getByRole('dialog'))
  expect(dialog.getByText(warning)).toBeVisible()
  await user.click(dialog.getByRole('button', { name: 'Publish over version 5' }))
  await waitFor(() => expect(seen).toEqual(['publish "5" both at once']))
})

it('keeps the dialog with the reason where somebody was faster', async () => {
  serve()
  server.use(
    refuse('POST /api/pipelines/:id/versions/:version/publish', 412, {
      detail: 'The pipeline is at version 5 now.',
    }),
  )
  const { user } = renderApp('/pipelines/orders?tab=versions&version=4')
  await user.click(await screen.findByRole('button', { name: 'Publish…' }))
  await user.click(screen.getByRole('button', { name: 'Publish it' }))
  expect(await screen.findByText(/at version 5 now/)).toBeVisible()
})

it('runs a draft with the inputs that it asks for', async () => {
  serve()
  const sent: unknown[] = []
  server.use(
    http.post('*/api/pipelines/:id/execute', async ({ request }) => {
      sent.push(await request.json())
      return HttpResponse.json({ execution_id: 'e1' }, { status: 202 })
    }),
    answer('GET /api/executions/:id', executionDetail()),
    answer('GET /api/executions/:id/logs', []),
  )
  const { user, location } = renderApp('/pipelines/orders?tab=versions&version=4', {
    role: 'operator',
  })
  await user.click(await screen.findByRole('button', { name: 'Run draft' }))
  await user.type(screen.getByRole('textbox', { name: /day/ }), 'today')
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: 'Run' }))
  await waitFor(() => expect(location()).toBe('/executions/e1'))
  expect(sent).toEqual([{ inputs: { day: 'today' }, version: 4 }])
  expect(screen.queryByRole('button', { name: 'Publish…' })).toBeNull()
})

it('discards a draft', async () => {
  const seen = serve()
  const { user, location } = renderApp('/pipelines/orders?tab=versions&version=4')
  await user.click(await screen.findByRole('button', { name: 'Discard…' }))
  await user.click(screen.getByRole('button', { name: 'Discard it' }))
  expect(await screen.findByText('Draft 4 is discarded.')).toBeVisible()
  expect(seen).toEqual(['discard 4'])
  expect(location()).toBe('/pipelines/orders?tab=versions&version=3')
  await waitFor(() => expect(screen.queryByRole('button', { name: /^Draft 4/ })).toBeNull())
})

it('saves a change as a draft, and a change of a draft in its place', async () => {
  const seen = serve()
  server.use(
    answer('POST /api/pipelines/validate', {
      valid: true,
      definition: {},
      problems: [],
      stages: [],
    }),
  )
  const { user, location } = renderApp('/pipelines/orders?tab=definition')
  await user.click(await screen.findByRole('button', { name: 'Edit' }))
  await user.type(screen.getByRole('textbox', { name: 'Change of version 3' }), '# mine')
  const save = screen.getByRole('button', { name: 'Save as draft' })
  await waitFor(() => expect(save).toBeEnabled())
  await user.click(save)
  expect(await screen.findByText('Saved as draft 5. Nothing runs it yet.')).toBeVisible()
  expect(location()).toBe('/pipelines/orders?tab=versions&version=5')
  expect(seen).toEqual(['save ?based_on=3 id: orders\nstages: []\n# mine'])

  await screen.findByRole('button', { name: 'Run draft' })
  await user.click(screen.getByRole('button', { name: 'Edit' }))
  await user.type(screen.getByRole('textbox', { name: 'Change of draft 5' }), '# more')
  expect(screen.queryByRole('button', { name: 'Save version' })).toBeNull()
  await waitFor(() => expect(screen.getByRole('button', { name: 'Save as draft' })).toBeEnabled())
  await user.click(screen.getByRole('button', { name: 'Save as draft' }))
  await waitFor(() => expect(seen).toHaveLength(2))
  expect(seen[1]).toMatch(/^save \?replaces=5 /)
})

it('restores an earlier text as a draft', async () => {
  const seen = serve(5)
  server.use(
    answer('GET /api/pipelines/:id/versions', [
      pipelineVersion({ version: 5 }),
      pipelineVersion({ version: 2 }),
    ]),
    answer('GET /api/pipelines/:id/versions/:version', pipelineVersion({ version: 2 })),
  )
  const { user } = renderApp('/pipelines/orders?tab=versions&version=2')
  await user.click(await screen.findByRole('button', { name: 'Restore as draft' }))
  await waitFor(() => expect(seen).toEqual(['save ?based_on=5 id: orders\nstages: []\n']))
})

it('leaves a viewer nothing but to look', async () => {
  serve()
  renderApp('/pipelines/orders?tab=versions&version=4', { role: 'viewer' })
  expect(await screen.findByText(/which runs now: it adds rates/)).toBeVisible()
  expect(
    screen.queryByRole('button', { name: /^(Run draft|Edit|Publish…|Discard…|Restore)/ }),
  ).toBeNull()
})
