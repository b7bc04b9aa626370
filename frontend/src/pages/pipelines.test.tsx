import { screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import { answer, refuse } from '@/test/api'
import {
  bulkResponse,
  executionDetail,
  pipelineDetail,
  pipelineSummary,
  prediction,
} from '@/test/factories'
import { renderApp } from '@/test/render'
import { server } from '@/test/server'

const withInputs = pipelineDetail({
  inputs_schema: {
    type: 'object',
    properties: {
      day: { type: 'string', format: 'date' },
      limit: { type: 'integer', default: 10 },
    },
    required: ['day'],
  },
})

it('starts an execution from the form its inputs make, and shows it', async () => {
  const sent: unknown[] = []
  const keys: (string | null)[] = []
  server.use(
    answer('GET /api/pipelines/:id', withInputs),
    answer('GET /api/executions', []),
    answer('GET /api/executions/:id', executionDetail()),
    answer('GET /api/executions/:id/logs', []),
    http.post('*/api/pipelines/:id/execute', async ({ request }) => {
      sent.push(await request.json())
      keys.push(request.headers.get('Idempotency-Key'))
      return sent.length === 1
        ? HttpResponse.json(
            {
              detail: 'The inputs do not fit.',
              code: 'invalid_inputs',
              problems: [
                {
                  code: 'minimum',
                  message: 'It must be 1 or more.',
                  path: 'inputs.limit',
                  severity: 'error',
                },
              ],
            },
            { status: 422 },
          )
        : HttpResponse.json({ execution_id: 'e1' }, { status: 202 })
    }),
  )
  const { user, location } = renderApp('/pipelines/orders')
  const [open] = await screen.findAllByRole('button', { name: 'Run' })
  if (open) await user.click(open)
  const dialog = within(await screen.findByRole('dialog', { name: 'Run Orders' }))
  const run = dialog.getByRole('button', { name: 'Run' })

  await user.click(run)
  expect(await dialog.findByText('day is needed.')).toBeVisible()
  expect(sent).toEqual([])

  await user.type(dialog.getByLabelText('day'), '2026-03-04')
  await user.clear(dialog.getByLabelText(/^limit/))
  await user.type(dialog.getByLabelText(/^limit/), '0')
  await user.click(run)
  expect(await dialog.findByText('It must be 1 or more.')).toBeVisible()
  expect(dialog.getByLabelText(/^limit/)).toBeInvalid()

  await user.clear(dialog.getByLabelText(/^limit/))
  await user.click(run)
  await waitFor(() => expect(location()).toBe('/executions/e1'))
  expect(sent).toEqual([
    { inputs: { day: '2026-03-04', limit: 0 } },
    { inputs: { day: '2026-03-04' } },
  ])
  expect(new Set(keys).size).toBe(2)
})

it('checks a new definition while it is written and leads to each problem', async () => {
  server.use(
    answer('POST /api/pipelines/validate', async (request) => {
      const text = await request.text()
      expect(request.headers.get('Content-Type')).toBe('application/yaml')
      return text.includes('tpye')
        ? {
            valid: false,
            definition: null,
            stages: [],
            problems: [
              {
                code: 'unknown_key',
                message: "There is no key 'tpye' here.",
                path: 'stages[0].tpye',
                line: 3,
                column: 5,
                suggestion: 'type',
                severity: 'error',
              },
            ],
          }
        : {
            valid: true,
            definition: {},
            problems: [],
            stages: [{ id: 'a', name: 'a', type: 'noop', needs: [], phase: 'main' }],
          }
    }),
    answer('POST /api/pipelines', pipelineDetail()),
    answer('GET /api/pipelines/:id', pipelineDetail()),
    answer('GET /api/executions', []),
  )
  const { user, location } = renderApp('/pipelines/new')
  const editor = await screen.findByRole<HTMLTextAreaElement>('textbox', { name: 'Definition' })
  const create = screen.getByRole('button', { name: 'Create pipeline' })
  await user.clear(editor)
  await user.click(editor)
  await user.paste('stages:\n  - id: a\n    tpye: noop\n')
  const problem = await screen.findByRole('button', { name: /There is no key 'tpye'/ })
  expect(problem).toHaveTextContent('3:5')
  expect(problem).toHaveTextContent('Suggested: type')
  expect(create).toBeDisabled()
  await user.click(problem)
  expect(editor).toHaveFocus()
  expect(editor.value.slice(editor.selectionStart)).toBe('tpye: noop\n')

  await user.clear(editor)
  await user.paste('stages:\n  - {id: a, type: noop}\n')
  expect(await screen.findByText('Valid, 1 stage')).toBeVisible()
  await user.click(create)
  await waitFor(() => expect(location()).toBe('/pipelines/orders'))
})

it('keeps the text when somebody else has saved meanwhile', async () => {
  server.use(
    answer('GET /api/pipelines/:id', pipelineDetail({ source: 'id: orders\n' })),
    answer('POST /api/pipelines/validate', {
      valid: true,
      definition: {},
      problems: [],
      stages: [],
    }),
    http.put('*/api/pipelines/:id', ({ request }) => {
      expect(request.headers.get('If-Match')).toBe('"3"')
      return HttpResponse.json({ detail: 'Version 4 is newer.', code: 'conflict' }, { status: 412 })
    }),
  )
  const { user } = renderApp('/pipelines/orders?tab=definition')
  await user.click(await screen.findByRole('button', { name: 'Edit' }))
  const editor = screen.getByRole('textbox', { name: 'Change of version 3' })
  await user.type(editor, 'name: Mine')
  const save = screen.getByRole('button', { name: 'Save version' })
  await waitFor(() => expect(save).toBeEnabled())
  await user.click(save)
  expect(await screen.findByRole('alert')).toHaveTextContent('Version 4 is newer.')
  expect(editor).toHaveValue('id: orders\nname: Mine')
})

it('keeps the search in the address', async () => {
  server.use(
    answer('GET /api/pipelines', (request) =>
      new URL(request.url).searchParams.get('q') === 'ord' ? [pipelineSummary()] : [],
    ),
  )
  const { user, location } = renderApp('/pipelines')
  expect(await screen.findByText('There is no pipeline yet')).toBeVisible()
  await user.type(screen.getByRole('searchbox', { name: 'Find a pipeline' }), 'ord')
  expect(await screen.findByRole('link', { name: 'Orders' })).toBeVisible()
  expect(location()).toBe('/pipelines?q=ord')
})

it('says that there is no such pipeline', async () => {
  server.use(refuse('GET /api/pipelines/:id', 404, { code: 'not_found' }))
  renderApp('/pipelines/ordres')
  expect(await screen.findByText('There is no such pipeline')).toBeVisible()
  expect(screen.getByText(/'ordres'/)).toBeVisible()
})

it('shows who has paused a pipeline, and resumes it', async () => {
  let enabled = false
  server.use(
    answer('GET /api/pipelines/:id', () =>
      pipelineDetail(
        enabled
          ? { enabled }
          : { enabled, paused_by: 'bob@example.com', paused_at: '2026-03-04T10:00:00Z' },
      ),
    ),
    answer('GET /api/executions', []),
    answer('POST /api/pipelines/:id/resume', () => {
      enabled = true
      return pipelineDetail({ enabled })
    }),
  )
  const { user } = renderApp('/pipelines/orders')
  expect(await screen.findByText(/^Paused by bob@example.com, /)).toBeVisible()
  await user.click(screen.getByRole('button', { name: 'Resume' }))
  expect(await screen.findByText('Orders is resumed.')).toBeVisible()
  expect(screen.queryByText(/^Paused by/)).toBeNull()
})

it('pauses a pipeline from the list, where it is marked', async () => {
  let enabled = true
  server.use(
    answer('GET /api/pipelines', () => [pipelineSummary({ enabled })]),
    answer('POST /api/pipelines/:id/pause', () => {
      enabled = false
      return pipelineDetail({ enabled })
    }),
  )
  const { user } = renderApp('/pipelines')
  await user.click(await screen.findByRole('button', { name: 'More about Orders' }))
  await user.click(await screen.findByRole('menuitem', { name: 'Pause' }))
  expect(await screen.findByText('Orders is paused.')).toBeVisible()
  expect(await screen.findByText('Paused')).toBeVisible()
})

it('shows how likely the next run is to fail, where enough have ended', async () => {
  const risk = prediction({ failure_probability: 0.6 })
  server.use(
    answer('GET /api/pipelines', [
      pipelineSummary({ prediction: risk }),
      pipelineSummary({ id: 'new', name: 'New', prediction: { ...risk, enough: false } }),
    ]),
  )
  renderApp('/pipelines')
  expect(await screen.findByRole('row', { name: /^Orders .*60%/ })).toBeVisible()
  expect(screen.getByRole('row', { name: /^New/ })).not.toHaveTextContent('60%')
})

it('deletes a pipeline once nothing of it is under way', async () => {
  let underWay = 2
  let deleted = false
  server.use(
    answer('GET /api/pipelines/:id', pipelineDetail()),
    answer('GET /api/pipelines', []),
    answer('GET /api/executions', []),
    http.post('*/api/executions/cancel', async ({ request }) => {
      const body = (await request.json()) as { pipeline_id: string; dry_run: boolean }
      expect(body.pipeline_id).toBe('orders')
      const matched = underWay
      if (!body.dry_run) underWay = 0
      return HttpResponse.json(bulkResponse([], {}, { matched }))
    }),
    http.delete('*/api/pipelines/:id', () => {
      deleted = true
      return HttpResponse.json({ message: 'Pipeline deleted successfully' })
    }),
  )
  const { user, location } = renderApp('/pipelines/orders')
  await user.click(await screen.findByRole('button', { name: 'More about Orders' }))
  await user.click(await screen.findByRole('menuitem', { name: 'Delete…' }))
  const dialog = within(await screen.findByRole('dialog', { name: 'Delete Orders?' }))
  expect(await dialog.findByText(/^2 executions are under way/)).toBeVisible()
  const remove = dialog.getByRole('button', { name: 'Delete the pipeline' })
  expect(remove).toBeDisabled()
  await user.click(dialog.getByRole('button', { name: 'Cancel all 2' }))
  expect(await dialog.findByText('No execution of it is under way.')).toBeVisible()
  await user.click(remove)
  await waitFor(() => expect(location()).toBe('/pipelines'))
  expect(deleted).toBe(true)
  expect(await screen.findByText('Orders is deleted.')).toBeVisible()
})
