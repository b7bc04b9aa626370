import { act, fireEvent, screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { describe, expect, it } from 'vitest'
import { answer, refuse } from '@/test/api'
import { expectAccessible } from '@/test/axe'
import {
  at,
  backfill,
  executionDetail,
  executionSummary,
  firing,
  pipelineDetail,
  pipelineSummary,
  runBar,
  trigger,
} from '@/test/factories'
import { theSocket } from '@/test/fake-socket'
import { renderApp } from '@/test/render'
import { server } from '@/test/server'

const FIRINGS = 'GET /api/pipelines/:id/triggers/:trigger/firings'
const BACKFILL = 'POST /api/pipelines/:id/triggers/:trigger/backfill'
const started = firing({
  instant: '2026-03-04T01:15:00Z',
  execution_id: 'e12',
  execution_number: 12,
  execution_status: 'running',
})
const soon = new Date(Date.now() + 3_000_000).toISOString()
const later = new Date(Date.now() + 9_000_000).toISOString()

function answerPipeline(triggers: ReturnType<typeof trigger>[]) {
  server.use(
    answer(
      'GET /api/pipelines/:id',
      pipelineDetail({ recent: [runBar({ id: 'e12', number: 12, status: 'failed' })] }),
    ),
    answer('GET /api/pipelines/:id/triggers', triggers),
    answer('GET /api/executions', []),
  )
}

describe('on the page of a pipeline', () => {
  it('says when each trigger comes, what came of it, and what becomes of missed instants', async () => {
    answerPipeline([
      trigger({ last: started, next_at: soon, inputs: { region: 'eu', days: 2 } }),
      trigger({
        id: 'odd',
        cron: '*/7 * * * *',
        catchup: 'all',
        next_at: later,
        when: '${{ inputs.go }}',
      }),
    ])
    renderApp('/pipelines/orders?tab=triggers')
    const nightly = within(await screen.findByRole('region', { name: 'Trigger nightly' }))
    expect(nightly.getByText('Mon to Fri at 02:15, Europe/Paris')).toBeVisible()
    expect(nightly.getByText('15 2 * * 1-5')).toBeVisible()
    expect(nightly.getByText('in 49 min')).toBeVisible()
    expect(nightly.getAllByRole('listitem').slice(0, 5)).toHaveLength(5)
    expect(nightly.getByRole('link', { name: '#12' })).toHaveAttribute('href', '/executions/e12')
    expect(nightly.getByText('Failed')).toBeVisible()
    expect(nightly.getByText(/only the latest is made up for/)).toBeVisible()
    expect(nightly.getByText('region: eu')).toBeVisible()
    expect(nightly.getByText('days: 2')).toBeVisible()

    const odd = within(screen.getByRole('region', { name: 'Trigger odd' }))
    expect(odd.getByText('*/7 * * * *')).toBeVisible()
    expect(odd.queryByText(/^Every .* minutes/)).toBeNull()
    expect(odd.getByText('None has come yet.')).toBeVisible()
    expect(odd.getByText('${{ inputs.go }}')).toBeVisible()
    expect(screen.getByText('next run').querySelector('a')).toHaveTextContent('in 49 min')
    await expectAccessible()
  })

  it('pages through what became of its instants, each with its reason', async () => {
    answerPipeline([trigger(), trigger({ id: 'hourly' })])
    server.use(
      http.get(FIRINGS.replace('GET ', '*'), ({ request }) =>
        new URL(request.url).searchParams.get('cursor') === 'more'
          ? HttpResponse.json([
              firing({ instant: '2026-02-01T00:00:00Z', state: 'missed', count: 3, reason: null }),
            ])
          : HttpResponse.json(
              [
                started,
                firing({
                  instant: '2026-03-03T01:15:00Z',
                  execution_id: 'e2',
                  execution_number: null,
                  execution_status: null,
                  at: '2026-03-03T03:15:00Z',
                }),
                firing({
                  instant: '2026-03-02T01:15:00Z',
                  state: 'refused',
                  execution_id: null,
                  reason: 'day is needed.',
                }),
                firing({
                  instant: '2026-03-01T01:15:00Z',
                  state: 'skipped',
                  execution_id: null,
                  reason: '`when` is false',
                }),
              ],
              { headers: { 'X-Next-Cursor': 'more' } },
            ),
      ),
    )
    const { user, location } = renderApp('/pipelines/orders?tab=triggers')
    const nightly = within(await screen.findByRole('region', { name: 'Trigger nightly' }))
    await user.click(nightly.getByRole('button', { name: 'History' }))
    expect(location()).toBe('/pipelines/orders?tab=triggers&trigger=nightly')
    const history = within(await nightly.findByRole('table', { name: 'History of nightly' }))
    expect(history.getByRole('row', { name: /Started.*#12.*Failed/ })).toBeVisible()
    expect(
      history.getByRole('row', { name: /Started.*no longer kept.*made up for, 2 h 00 m late/ }),
    ).toBeVisible()
    expect(history.getByRole('row', { name: /Refused.*day is needed\./ })).toBeVisible()
    expect(history.getByRole('row', { name: /Skipped.*when is false/ })).toBeVisible()
    await user.click(nightly.getByRole('button', { name: 'Show more' }))
    expect(await history.findByRole('row', { name: /and 2 before.*Missed/ })).toBeVisible()
    await expectAccessible()
    await user.click(nightly.getByRole('button', { name: 'History' }))
    expect(nightly.queryByRole('table')).toBeNull()
  })

  it('pauses and resumes', async () => {
    let paused = false
    const now = () =>
      paused
        ? trigger({
            next_at: null,
            upcoming: [],
            paused_at: at(0),
            paused_by: 'ada@example.com',
            reason: 'paused by ada@example.com',
          })
        : trigger()
    answerPipeline([])
    server.use(
      answer('GET /api/pipelines/:id/triggers', () => [now()]),
      answer(FIRINGS, []),
      answer('POST /api/pipelines/:id/triggers/:trigger/pause', () => {
        paused = true
        return now()
      }),
      answer('POST /api/pipelines/:id/triggers/:trigger/resume', () => {
        paused = false
        return now()
      }),
    )
    const { user } = renderApp('/pipelines/orders?tab=triggers')
    await user.click(await screen.findByRole('button', { name: 'Pause nightly' }))
    expect(await screen.findByText('nightly is paused.')).toBeVisible()
    expect(screen.getByText(/^Paused by ada@example.com, /)).toBeVisible()
    expect(screen.queryByText(/^The next/)).toBeNull()
    await expectAccessible()
    await user.click(screen.getByRole('button', { name: 'Resume nightly' }))
    expect(await screen.findByText('nightly is resumed.')).toBeVisible()
    expect(screen.queryByText(/^Paused by/)).toBeNull()
    expect(screen.getByText('The next 5')).toBeVisible()
  })

  it('starts what lies in a span of time', async () => {
    const asked: unknown[] = []
    const note = '`concurrency` lets 2 executions run at once; the others wait.'
    answerPipeline([trigger()])
    server.use(
      answer(FIRINGS, []),
      answer(BACKFILL, async (request) => {
        const wanted = await request.json()
        asked.push(wanted)
        return wanted.dry_run
          ? backfill({ known: 2, left: 3, note })
          : backfill({ known: 2, left: 0, started: 3 })
      }),
    )
    const { user } = renderApp('/pipelines/orders?tab=triggers')
    await user.click(await screen.findByRole('button', { name: 'Backfill nightly' }))
    const dialog = within(await screen.findByRole('dialog', { name: 'Backfill nightly' }))
    fireEvent.change(await dialog.findByLabelText('From'), {
      target: { value: '2026-03-02T00:00' },
    })
    fireEvent.change(dialog.getByLabelText('To'), { target: { value: '2026-03-06T12:00' } })
    expect(await dialog.findByText('5 instants')).toBeVisible()
    expect(dialog.getByText(/2 of them were started before, and are left alone\./)).toBeVisible()
    expect(dialog.getByText(/lets 2 executions run at once; the others wait/)).toBeVisible()
    await expectAccessible()
    await user.click(dialog.getByRole('button', { name: 'Latest first' }))
    await user.click(dialog.getByRole('checkbox', { name: 'Other executions go first' }))
    await user.click(await dialog.findByRole('button', { name: 'Start 3 executions' }))
    expect(await screen.findByText('3 executions are started.')).toBeVisible()
    expect(screen.queryByRole('dialog')).toBeNull()
    const span = { from: '2026-03-02T00:00', to: '2026-03-06T12:00', order: 'latest_first' }
    expect(asked).toContainEqual({ ...span, priority: -10, dry_run: false })
  })

  it('says what a backfill has left, and why', async () => {
    answerPipeline([trigger()])
    server.use(
      answer(FIRINGS, []),
      answer(BACKFILL, async (request) =>
        (await request.json()).dry_run
          ? backfill()
          : backfill({ started: 1, skipped: 1, refused: 1, left: 2, reason: 'The queue is full.' }),
      ),
    )
    const { user } = renderApp('/pipelines/orders?tab=triggers')
    await user.click(await screen.findByRole('button', { name: 'Backfill nightly' }))
    await user.click(await screen.findByRole('button', { name: 'Start 5 executions' }))
    expect(
      await screen.findByText(
        '1 execution is started, 1 skipped because of its condition, 1 refused, 2 not started yet. The queue is full.',
      ),
    ).toBeVisible()
    await expectAccessible()
  })

  it('says what is wrong with a span, and that it is empty', async () => {
    answerPipeline([trigger()])
    server.use(answer(FIRINGS, []), refuse(BACKFILL, 422, { detail: 'Choose a shorter span.' }))
    const { user } = renderApp('/pipelines/orders?tab=triggers')
    await user.click(await screen.findByRole('button', { name: 'Backfill nightly' }))
    expect(await screen.findByText('Choose a shorter span.')).toBeVisible()
    expect(screen.getByRole('button', { name: 'Start' })).toBeDisabled()
    server.use(answer(BACKFILL, backfill({ instants: 0, first: null, last: null, left: 0 })))
    fireEvent.change(screen.getByLabelText('To'), { target: { value: '2026-03-06T12:00' } })
    expect(await screen.findByText('No instant of the trigger lies between them.')).toBeVisible()
    expect(screen.getByRole('button', { name: 'Start' })).toBeDisabled()
    fireEvent.change(screen.getByLabelText('From'), { target: { value: '' } })
    expect(await screen.findByText('Choose both moments.')).toBeVisible()
  })

  it('lets nobody pause who may not, and says where the pipeline itself is paused', async () => {
    answerPipeline([
      trigger({
        next_at: null,
        upcoming: [],
        pipeline_enabled: false,
        reason: 'its pipeline is paused',
      }),
    ])
    server.use(answer(FIRINGS, []))
    renderApp('/pipelines/orders?tab=triggers', { role: 'viewer' })
    expect(await screen.findByText('Its pipeline is paused.')).toBeVisible()
    expect(await screen.findByText('None of its instants has come yet.')).toBeVisible()
    expect(screen.queryByRole('button', { name: /^(Pause|Resume|Backfill)/ })).toBeNull()
  })

  it('says when it begins, and that it has ended', async () => {
    answerPipeline([
      trigger({ start: '2026-03-01T23:00:00Z' }),
      trigger({
        id: 'over',
        end: '2026-03-03T22:59:59.999999Z',
        next_at: null,
        upcoming: [],
        reason: 'ended at 2026-03-03',
      }),
    ])
    renderApp('/pipelines/orders?tab=triggers')
    const nightly = within(await screen.findByRole('region', { name: 'Trigger nightly' }))
    expect(nightly.getByText(/^Mon 2 Mar.*, 00:00 Europe\/Paris/)).toBeVisible()
    const over = within(screen.getByRole('region', { name: 'Trigger over' }))
    expect(over.getByText('It ended at 2026-03-03.')).toBeVisible()
    expect(over.getByText(/^Tue 3 Mar.*, 23:59:59? Europe\/Paris/)).toBeVisible()
    expect(over.queryByRole('button', { name: /^(Pause|Resume)/ })).toBeNull()
    expect(over.getByRole('button', { name: 'Backfill over' })).toBeVisible()
    await expectAccessible()
  })

  it('says how to get one where there is none', async () => {
    answerPipeline([])
    const { user, location } = renderApp('/pipelines/orders?tab=triggers')
    expect(await screen.findByText('Nothing starts this pipeline by itself')).toBeVisible()
    expect(screen.getByText(/cron: "15 2 \* \* 1-5"/)).toBeVisible()
    await expectAccessible()
    await user.click(screen.getByRole('link', { name: 'Open the definition' }))
    expect(location()).toBe('/pipelines/orders?tab=definition')
  })

  it('says that the triggers could not be loaded, and tries again', async () => {
    answerPipeline([])
    server.use(refuse('GET /api/pipelines/:id/triggers', 500, { detail: 'The disk is full.' }))
    const { user } = renderApp('/pipelines/orders?tab=triggers')
    expect(await screen.findByText('The triggers could not be loaded')).toBeVisible()
    server.use(answer('GET /api/pipelines/:id/triggers', []))
    await user.click(screen.getByRole('button', { name: 'Try again' }))
    expect(await screen.findByText('Nothing starts this pipeline by itself')).toBeVisible()
  })

  it('follows what is fired and paused', async () => {
    let asked = 0
    let paused = false
    answerPipeline([])
    server.use(
      answer('GET /api/pipelines/:id/triggers', () => [
        paused
          ? trigger({ paused_at: at(0), paused_by: 'bob@example.com', next_at: null, upcoming: [] })
          : trigger(),
      ]),
      answer(FIRINGS, () => {
        asked += 1
        return []
      }),
    )
    renderApp('/pipelines/orders?tab=triggers')
    const card = within(await screen.findByRole('region', { name: 'Trigger nightly' }))
    expect(await card.findByText('None of its instants has come yet.')).toBeVisible()
    const event = {
      seq: 0,
      at: '2026-03-05T01:15:00.1Z',
      pipeline_id: 'orders',
      trigger: 'nightly',
    }
    await waitFor(() => expect(theSocket().connected).toBe(true))
    const instant = '2026-03-05T01:15:00+00:00'
    act(() =>
      theSocket().play('trigger_fired', {
        ...event,
        instant,
        state: 'started',
        execution_id: 'e13',
        number: 13,
      }),
    )
    const history = within(await card.findByRole('table', { name: 'History of nightly' }))
    expect(history.getAllByRole('link', { name: '#13' })[0]).toHaveAttribute(
      'href',
      '/executions/e13',
    )
    act(() =>
      theSocket().play('execution_failed', {
        seq: 4,
        at: '2026-03-05T01:16:00Z',
        pipeline_id: 'orders',
        execution_id: 'e13',
      }),
    )
    expect(await history.findByRole('row', { name: /Started.*#13.*Failed/ })).toBeVisible()
    expect(card.getAllByText('Failed').length).toBeGreaterThan(1)
    expect(asked).toBe(1)
    paused = true
    act(() =>
      theSocket().play('trigger_changed', { ...event, paused: true, by: 'bob@example.com' }),
    )
    expect(await card.findByText(/^Paused by bob@example.com, /)).toBeVisible()
    expect(card.getByRole('button', { name: 'Resume nightly' })).toBeVisible()
  })
})

describe('in the lists of pipelines', () => {
  const pipelines = [
    pipelineSummary(),
    pipelineSummary({ id: 'held', name: 'Held' }),
    pipelineSummary({ id: 'by-hand', name: 'By hand' }),
  ]
  const triggers = [
    trigger({ next_at: soon, upcoming: [soon] }),
    trigger({
      pipeline_id: 'held',
      next_at: null,
      upcoming: [],
      reason: 'paused by bob@example.com',
    }),
  ]

  it('says when each comes next, or that it is paused', async () => {
    server.use(answer('GET /api/pipelines', pipelines), answer('GET /api/triggers', triggers))
    renderApp('/pipelines')
    expect(await screen.findByRole('row', { name: /^Orders .*in 49 min/ })).toBeVisible()
    const held = screen.getByRole('row', { name: /^Held .*paused/ })
    const [mark] = within(held).getAllByText('paused')
    expect(mark).toHaveAttribute('title', 'nightly: paused by bob@example.com')
    expect(screen.getByRole('row', { name: /^By hand/ })).not.toHaveTextContent(/in \d|paused/)
    await expectAccessible()
    const event = { seq: 0, at: at(0), pipeline_id: 'orders', trigger: 'nightly' }
    act(() => theSocket().play('trigger_changed', { ...event, paused: true, by: null }))
    expect(await screen.findByRole('row', { name: /^Orders .*paused/ })).toBeVisible()
  })

  it('shows the pipelines where the schedules cannot be loaded', async () => {
    server.use(answer('GET /api/pipelines', pipelines), refuse('GET /api/triggers', 500))
    renderApp('/pipelines')
    expect(await screen.findByRole('link', { name: 'Orders' })).toBeVisible()
  })
})

describe('of an execution that a schedule has started', () => {
  const scheduled = { trigger: 'schedule', actor: 'nightly' }

  it('names the trigger in the lists', async () => {
    server.use(
      answer('GET /api/pipelines', []),
      answer('GET /api/executions', [
        executionSummary(scheduled),
        executionSummary({ id: 'e2', number: 8, trigger: 'api', actor: 'ada@example.com' }),
      ]),
    )
    renderApp('/executions')
    expect(await screen.findByRole('row', { name: /#7 .*schedule · nightly/ })).toBeVisible()
    expect(screen.getByRole('row', { name: /#8 / })).not.toHaveTextContent('ada')
  })

  it('leads to the trigger from its page', async () => {
    server.use(
      answer(
        'GET /api/executions/:id',
        executionDetail({ ...scheduled, logical_date: '2026-03-04T01:15:00Z' }),
      ),
      answer('GET /api/executions/:id/logs', []),
    )
    renderApp('/executions/e1')
    expect(await screen.findByRole('link', { name: 'schedule · nightly' })).toHaveAttribute(
      'href',
      '/pipelines/orders?tab=triggers&trigger=nightly',
    )
    expect(screen.queryByText('by')).toBeNull()
    expect(screen.getByText('for').querySelector('time')).toHaveAttribute(
      'datetime',
      '2026-03-04T01:15:00Z',
    )
  })
})
