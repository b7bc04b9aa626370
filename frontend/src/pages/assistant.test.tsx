import { screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import type { Schemas } from '@/lib/api'
import { answer, refuse } from '@/test/api'
import { expectAccessible } from '@/test/axe'
import {
  assistant,
  explanation,
  failedExecution,
  learning,
  logLine,
  pipelineDetail,
  project,
  sent,
} from '@/test/factories'
import { renderApp } from '@/test/render'
import { server } from '@/test/server'

const SPOKEN = { model: 'small', host: 'llm.example.com', seconds: 3.2 }

function failure(on: boolean) {
  server.use(
    answer('GET /api/executions/:id', failedExecution()),
    answer('GET /api/executions/:id/logs', [logLine()]),
    answer('GET /api/executions/:id/stages/:stage/table', {
      columns: [],
      rows: [],
      offset: 0,
      total_rows: 0,
    }),
    answer('GET /api/executions/:id/explain', explanation({ assistant: on })),
    answer('GET /api/executions/:id/assistant', sent('401 with token=REDACTED_1')),
  )
}

const cause = async () =>
  within(await screen.findByRole('region', { name: /Stage check got a row it cannot use/ }))

it('offers no assistant where it is switched off', async () => {
  failure(false)
  renderApp('/executions/e1')
  await screen.findByRole('region', { name: /Likely cause/ })
  expect(screen.queryByRole('button', { name: 'Explain this failure' })).toBeNull()
})

it('offers none to who may not run anything', async () => {
  failure(true)
  renderApp('/executions/e1', { role: 'viewer' })
  await screen.findByRole('region', { name: /Likely cause/ })
  expect(screen.queryByRole('button', { name: 'Explain this failure' })).toBeNull()
})

it('shows to the letter what is sent, before it is', async () => {
  failure(true)
  const { user } = renderApp('/executions/e1')
  const card = await cause()
  await user.click(await card.findByText('What is sent'))
  expect(await card.findByText('401 with token=REDACTED_1')).toBeVisible()
  expect(card.getByText(/2 values that look like secrets/)).toHaveTextContent(
    /^To llm\.example\.com, for the model small, and to nobody else/,
  )
  await expectAccessible()
})

it('shows the answer as text, whatever it holds', async () => {
  failure(true)
  const text = 'The token is wrong.\n<img src=x onerror="alert(1)"> [here](http://evil.example)'
  server.use(answer('POST /api/executions/:id/assistant', { text, ...SPOKEN }))
  const { user } = renderApp('/executions/e1')
  const card = await cause()
  await user.click(await card.findByRole('button', { name: 'Explain this failure' }))
  expect((await card.findByText(/^The token is wrong/)).textContent).toBe(text)
  expect(card.queryByRole('img')).toBeNull()
  expect(card.queryByRole('link', { name: 'here' })).toBeNull()
  expect(card.getByText(/It may be wrong/)).toBeVisible()
  await expectAccessible()
})

it('says why there is no answer, and lets it be asked again', async () => {
  failure(true)
  const detail = 'The assistant at llm.example.com does not answer: Connection refused. Start it.'
  server.use(refuse('POST /api/executions/:id/assistant', 502, { detail }))
  const { user } = renderApp('/executions/e1')
  const card = await cause()
  await user.click(await card.findByRole('button', { name: 'Explain this failure' }))
  expect(await card.findByText(detail)).toBeVisible()
  expect(card.getByRole('button', { name: 'Explain this failure' })).toBeEnabled()
})

const DRAFTED = 'id: nightly\nname: Nightly\nstages:\n  - id: a\n    type: noop\n'

function drafting(values: Partial<Schemas['DraftBody']> = {}) {
  const wishes: Schemas['DraftRequest'][] = []
  server.use(
    answer('GET /api/assistant', assistant()),
    answer('POST /api/pipelines/validate', {
      valid: true,
      definition: {},
      problems: [],
      stages: [],
    }),
    answer('POST /api/assistant/draft/preview', sent('<<<wish')),
    answer('POST /api/assistant/draft', async (request) => {
      wishes.push((await request.json()) as Schemas['DraftRequest'])
      const diff = '--- present\n+++ proposed\n@@ -0,0 +1,5 @@\n+id: nightly\n'
      return { definition: DRAFTED, diff, accepted: true, problems: [], ...SPOKEN, ...values }
    }),
  )
  return wishes
}

it('drafts a new pipeline, which goes into the editor only when it is taken', async () => {
  const wishes = drafting()
  const { user } = renderApp('/pipelines/new')
  await user.type(await screen.findByLabelText('What should the pipeline do?'), 'Every night.')
  await user.click(screen.getByText('What is sent'))
  expect(await screen.findByText('<<<wish')).toBeVisible()
  await user.click(screen.getByRole('button', { name: 'Propose' }))
  expect(await screen.findByText('Proposed, and checked: it is valid.')).toBeVisible()
  const editor = screen.getByRole('textbox', { name: 'Definition' })
  expect(editor).not.toHaveValue(DRAFTED)
  await expectAccessible()
  await user.click(screen.getByRole('button', { name: 'Put it into the editor' }))
  expect(editor).toHaveValue(DRAFTED)
  expect(wishes).toEqual([{ wish: 'Every night.', definition: '', pipeline_id: null }])
})

it('changes the text that is being edited, and says what is wrong with the proposal', async () => {
  const message = "Stage 'a' has the unknown type 'nop'."
  const problems = [{ code: 'x', message, path: '', line: 4, severity: 'error' as const }]
  const wishes = drafting({ accepted: false, problems })
  const pipeline = pipelineDetail()
  server.use(answer('GET /api/pipelines/:id', pipeline))
  const { user } = renderApp(`/pipelines/${pipeline.id}?tab=definition`)
  await user.click(await screen.findByRole('button', { name: 'Edit' }))
  await user.type(await screen.findByLabelText('What should change?'), 'Faster.')
  await user.click(screen.getByRole('button', { name: 'Propose' }))
  expect(await screen.findByText(/It found no text that is valid/)).toBeVisible()
  expect(screen.getByText(message)).toBeVisible()
  await user.click(screen.getByRole('button', { name: 'Discard' }))
  expect(screen.queryByText(message)).toBeNull()
  expect(wishes).toEqual([
    { wish: 'Faster.', definition: pipeline.source, pipeline_id: pipeline.id },
  ])
})

function projects(...found: Schemas['ProjectBody'][]) {
  const asked: unknown[] = []
  server.use(
    answer('GET /api/ai', learning()),
    answer('GET /api/assistant', assistant({ on: false })),
    answer('GET /api/ai/projects', () => found),
    http.put('*/api/ai/projects', async ({ request }) => {
      asked.push(await request.json())
      return HttpResponse.json(found[0])
    }),
  )
  return asked
}

it('switches the assistant on for a project after saying what that means', async () => {
  const asked = projects(project({ name: 'sales' }))
  const { user } = renderApp('/settings/learning')
  await user.click(await screen.findByRole('switch', { name: 'Assistant for sales' }))
  const dialog = within(
    await screen.findByRole('dialog', { name: 'Switch the assistant on for sales?' }),
  )
  expect(dialog.getByText(/llm\.example\.com/)).toBeVisible()
  expect(asked).toEqual([])
  await user.click(dialog.getByRole('button', { name: 'Switch it on' }))
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  expect(asked).toEqual([{ name: 'sales', assistant: true }])
})

it('switches learning and the assistant off at once', async () => {
  const asked = projects(project({ assistant: true, changed_by: 'ada@example.com' }))
  const { user } = renderApp('/settings/learning')
  await user.click(await screen.findByRole('switch', { name: 'Assistant for default' }))
  await user.click(screen.getByRole('switch', { name: 'Learning for default' }))
  await waitFor(() =>
    expect(asked).toEqual([
      { name: 'default', assistant: false },
      { name: 'default', learning: false },
    ]),
  )
})

it('leaves who is no administrator the words', async () => {
  projects(project({ name: 'sales', learning: false }))
  renderApp('/settings/learning', { role: 'editor' })
  const row = await screen.findByRole('row', { name: /^sales/ })
  expect(row).toHaveTextContent(/^sales3offoff/)
  expect(screen.queryByRole('switch')).toBeNull()
})

it('switches no assistant on where none is set up', async () => {
  projects(project())
  server.use(
    answer('GET /api/assistant', assistant({ on: false, host: null, model: null, note: 'None.' })),
  )
  renderApp('/settings/learning')
  expect(await screen.findByRole('switch', { name: 'Assistant for default' })).toBeDisabled()
  expect(screen.getByText(/^No assistant is set up/)).toBeVisible()
})
