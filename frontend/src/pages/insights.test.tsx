import { act, screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import { answer } from '@/test/api'
import {
  at,
  executionDetail,
  explanation,
  failedExecution,
  insight,
  learnedModel,
  learning,
  logLine,
  pipelineDetail,
  prediction,
  suggestion,
} from '@/test/factories'
import { theSocket } from '@/test/fake-socket'
import { renderApp } from '@/test/render'
import { server } from '@/test/server'

it('shows what a suggestion changes and saves, applies it as a draft and takes it back', async () => {
  let now = suggestion()
  const carried = { version_before: 3, version_applied: 4, changed_by: 'ada@example.com' }
  const states: string[] = []
  server.use(
    answer('GET /api/ai', learning()),
    answer('GET /api/suggestions', (request) => {
      const asked = new URL(request.url).searchParams.getAll('state')
      states.push(asked.join())
      return asked.includes(now.state) ? [now] : []
    }),
    answer('GET /api/suggestions/:id', () => now),
    http.post('*/api/suggestions/:id/:change', ({ params }) => {
      now =
        params.change === 'apply'
          ? suggestion({ state: 'draft', ...carried })
          : suggestion({ state: 'undone', ...carried, version_undone: 5 })
      return HttpResponse.json(now)
    }),
    answer('POST /api/pipelines/:id/versions/:version/publish', () => {
      now = suggestion({
        state: 'applied',
        ...carried,
        outcome: {
          executions: 7,
          wanted: 20,
          note: 'Not enough data yet (7 of 20 executions).',
          text: null,
          saved_share: null,
          low: null,
          high: null,
        },
      })
      return pipelineDetail({ version: 4 })
    }),
  )
  const { user, location } = renderApp('/insights')
  const list = within(await screen.findByRole('list', { name: 'Suggestions' }))
  expect(list.getByRole('button', { name: /saves 19\.0 s a run \(31%\)/ })).toBeVisible()
  const detail = within(screen.getByRole('region', { name: 'The suggestion' }))
  expect(await detail.findByText('42.0 s, estimated 38.0 s to 46.0 s')).toBeVisible()
  expect(detail.getByText('From 40 runs; 99.8% sure.')).toBeVisible()
  expect(detail.getByText('- needs: [load]', { exact: false })).toHaveClass('text-state-failed')
  await user.click(detail.getByRole('button', { name: 'Apply as draft' }))
  expect(await screen.findByText('Saved as draft 4. Nothing runs it yet.')).toBeVisible()
  expect(await detail.findByRole('link', { name: 'draft 4' })).toHaveAttribute(
    'href',
    '/pipelines/orders?tab=versions&version=4',
  )
  await user.click(detail.getByRole('button', { name: 'Publish draft 4' }))
  expect(await screen.findByText('Version 4 runs from now on.')).toBeVisible()
  expect(await screen.findByText('Nothing to suggest')).toBeVisible()

  await user.click(screen.getByRole('button', { name: 'Applied' }))
  expect(location()).toBe('/insights?state=applied')
  expect(await screen.findByText('Not enough data yet (7 of 20 executions).')).toBeVisible()
  await user.click(screen.getByRole('button', { name: 'Undo' }))
  expect(await screen.findByText('Undone as version 5.')).toBeVisible()
  expect(states).toContain('applied,undone')
})

it('says what more runs may show', async () => {
  server.use(
    answer(
      'GET /api/ai',
      learning({
        more_needed: [
          {
            pipeline_id: 'orders',
            kind: null,
            text: 'Not enough data yet (7 of 20 executions).',
          },
        ],
      }),
    ),
    answer('GET /api/suggestions', []),
  )
  const { user } = renderApp('/insights')
  await user.click(await screen.findByText('More runs may show more'))
  expect(screen.getByRole('link', { name: 'orders' }).closest('li')).toHaveTextContent(
    'orders: Not enough data yet (7 of 20 executions).',
  )
})

it('offers no way to publish a draft that is outdated, only to undo it', async () => {
  const late = suggestion({
    state: 'draft',
    version_before: 3,
    version_applied: 4,
    why_not: 'Draft 4 was made from version 3, and version 5 was published since.',
  })
  let now = late
  server.use(
    answer('GET /api/ai', learning()),
    answer('GET /api/suggestions', () => [now]),
    answer('GET /api/suggestions/:id', () => now),
    http.post('*/api/suggestions/:id/undo', () => {
      now = suggestion()
      return HttpResponse.json(now)
    }),
  )
  const { user } = renderApp('/insights')
  expect(await screen.findByText(late.why_not ?? '')).toBeVisible()
  expect(screen.queryByRole('button', { name: /^Publish/ })).toBeNull()
  await user.click(screen.getByRole('button', { name: 'Undo, discard the draft' }))
  expect(await screen.findByText('The draft is discarded.')).toBeVisible()
  expect(await screen.findByRole('button', { name: 'Apply as draft' })).toBeVisible()
})

it('dismisses with a reason', async () => {
  const sent: unknown[] = []
  server.use(
    answer('GET /api/ai', learning()),
    answer('GET /api/suggestions', [suggestion()]),
    answer('GET /api/suggestions/:id', suggestion()),
    http.post('*/api/suggestions/:id/dismiss', async ({ request }) => {
      sent.push(await request.json())
      return HttpResponse.json(suggestion({ state: 'dismissed', reason: 'wanted' }))
    }),
  )
  const { user } = renderApp('/insights')
  await user.click(await screen.findByRole('button', { name: 'Dismiss…' }))
  await user.type(screen.getByLabelText(/^Why/), 'The order is wanted.')
  await user.click(screen.getByRole('button', { name: 'Dismiss it' }))
  expect(await screen.findByText('Dismissed.')).toBeVisible()
  expect(sent).toEqual([{ reason: 'The order is wanted.' }])
})

it('says why one cannot be applied, and leaves a viewer no way to', async () => {
  const advice = suggestion({
    diff: '',
    why_not: 'Only a person can shorten a stage.',
    replay: null,
  })
  server.use(
    answer('GET /api/ai', learning()),
    answer('GET /api/suggestions', [advice]),
    answer('GET /api/suggestions/:id', advice),
  )
  renderApp('/insights?id=s1', { role: 'viewer' })
  expect(await screen.findByText('An editor can apply it.')).toBeVisible()
  expect(screen.queryByRole('button', { name: /Apply as|Dismiss…/ })).toBeNull()
})

it('shows the evidence of what is abnormal, takes a verdict, and hears of more', async () => {
  let found = [insight({ numbers: { usual: 61, spread: 0.03, runs_before: 60 } })]
  const said: unknown[] = []
  server.use(
    answer('GET /api/ai', learning({ note: 'Install the extra ai to train models.' })),
    answer('GET /api/insights', () => found),
    answer('GET /api/executions/:id', executionDetail()),
    http.post('*/api/insights/:id/feedback', async ({ request }) => {
      said.push(await request.json())
      found = [insight({ verdict: 'noise' })]
      return HttpResponse.json(found[0])
    }),
  )
  const { user } = renderApp('/insights?view=abnormal')
  const detail = within(await screen.findByRole('region', { name: 'The insight' }))
  expect(screen.getByText('Install the extra ai to train models.')).toBeVisible()
  expect(detail.getByText('1.80, had to reach 1')).toBeVisible()
  expect(detail.getByText('99.9% that it is not chance')).toBeVisible()
  expect(detail.getByText('usual').nextSibling).toHaveTextContent('1 m 01 s')
  expect(detail.getByText('give or take').nextSibling).toHaveTextContent('3%')
  expect(detail.getByText('runs before').nextSibling).toHaveTextContent('60')
  expect(await detail.findByRole('link', { name: '#7' })).toHaveAttribute('href', '/executions/e1')
  await user.click(detail.getByRole('button', { name: 'Noise' }))
  expect(await screen.findByText(/^You said it was noise\./)).toBeVisible()
  expect(said).toEqual([{ verdict: 'noise' }])

  found = [insight({ id: 'i2', rule: 'outage', text: 'shop_api fails for 3 pipelines.' }), ...found]
  await waitFor(() => expect(theSocket().subscriptions()).toContainEqual({ room: 'dashboard' }))
  act(() => theSocket().play('insight_found', { seq: 0, at: at(9), pipeline_id: 'orders' }))
  expect(await screen.findByRole('button', { name: /shop_api fails/ })).toBeVisible()
})

it('says so when nothing is abnormal', async () => {
  server.use(answer('GET /api/ai', learning()), answer('GET /api/insights', []))
  renderApp('/insights?view=abnormal')
  expect(await screen.findByText('Nothing is abnormal')).toBeVisible()
})

it('explains a failure beside its cause, and leads to what would prevent it', async () => {
  server.use(
    answer('GET /api/executions/:id', failedExecution({ prediction: prediction() })),
    answer('GET /api/executions/:id/logs', [logLine()]),
    answer('GET /api/executions/:id/explain', explanation({ suggestions: [suggestion()] })),
  )
  renderApp('/executions/e1')
  const card = within(await screen.findByRole('region', { name: /^Likely cause/ }))
  expect(card.getByText('86%')).toBeVisible()
  expect(card.getByText(/^3 of 12 rows were refused/)).toBeVisible()
  expect(card.queryByText('Something else.')).toBeNull()
  expect(card.getByRole('link', { name: /^Start rates/ })).toHaveAttribute(
    'href',
    '/insights?id=s1',
  )
  expect(screen.getByText('risk to fail foreseen', { exact: false })).toHaveTextContent('71%')
})

it.each([
  [
    'switched off',
    { learns: false, note: 'The AI layer is switched off: set FLEXIROASTER_AI=true.' },
  ],
  ['of no help', { note: null }],
])('is silent beside a failure where learning is %s', async (_, values) => {
  let asked = false
  const found = { ...values, causes: [], compared: 0, seen_before: null, suggestions: [] }
  server.use(
    answer('GET /api/executions/:id', failedExecution()),
    answer('GET /api/executions/:id/logs', [logLine()]),
    answer('GET /api/executions/:id/explain', () => {
      asked = true
      return explanation(found)
    }),
  )
  renderApp('/executions/e1')
  expect(await screen.findByText('read 12 rows')).toBeVisible()
  await waitFor(() => expect(asked).toBe(true))
  expect(screen.queryByText(/likely cause/i)).toBeNull()
  expect(screen.queryByText(/switched off/)).toBeNull()
})

it('explains a failure by the execution that it failed with', async () => {
  const parent = explanation({
    causes: [],
    compared: 0,
    note: 'It failed with child #7, which call waited for.',
    failed_with: 'c7',
    seen_before: null,
  })
  server.use(
    answer('GET /api/executions/:id', ({ url }) =>
      url.includes('/c7') ? executionDetail({ id: 'c7', number: 7 }) : failedExecution(),
    ),
    answer('GET /api/executions/:id/logs', [logLine()]),
    answer('GET /api/executions/:id/explain', ({ url }) =>
      url.includes('/c7') ? explanation({ execution_id: 'c7' }) : parent,
    ),
  )
  renderApp('/executions/e1')
  const card = within(await screen.findByRole('region', { name: /^Likely cause/ }))
  expect(card.getByText(/It failed with child #7/)).toBeVisible()
  expect(card.getByText('3 of 12 rows were refused, usually none.')).toBeVisible()
  expect(await card.findByRole('link', { name: '#7' })).toHaveAttribute('href', '/executions/c7')
})

it('shows no risk that stands on few executions', async () => {
  const few = prediction({ enough: false, note: 'Not enough data yet (7 of 20 executions).' })
  server.use(
    answer('GET /api/executions/:id', executionDetail({ prediction: few })),
    answer('GET /api/executions/:id/logs', [logLine()]),
  )
  renderApp('/executions/e1')
  expect(await screen.findByText('read 12 rows')).toBeVisible()
  expect(screen.queryByText(/risk to fail/)).toBeNull()
})

it('shows what a model was measured on, beside what needs no learning', async () => {
  server.use(answer('GET /api/ai', learning({ models: [learnedModel()] })))
  renderApp('/settings/learning')
  const card = within(await screen.findByRole('region', { name: 'Whether a stage fails' }))
  expect(card.getByRole('row', { name: /^what answers \(trees\) 0\.834/ })).toBeVisible()
  expect(card.getByRole('row', { name: /^failure rate 0\.500/ })).toBeVisible()
  expect(card.getByText('Different lately: hour of the day (0.31)')).toBeVisible()
})
