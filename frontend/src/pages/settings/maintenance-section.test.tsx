import { screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import type { Schemas } from '@/lib/api'
import { answer, refuse } from '@/test/api'
import { maintenanceWindow, pipelineSummary } from '@/test/factories'
import { renderApp } from '@/test/render'
import { server } from '@/test/server'

const HOUR = 3_600_000
const REASON = 'The warehouse is moved.'

function around(begins: number, ends: number, values: Partial<Schemas['WindowBody']> = {}) {
  return maintenanceWindow({
    id: `${begins}`,
    begins_at: new Date(Date.now() + begins * HOUR).toISOString(),
    ends_at: new Date(Date.now() + ends * HOUR).toISOString(),
    ...values,
  })
}

const rows = async () => (await screen.findAllByRole('row')).slice(1)

it('shows what runs, what comes and what is over, in this order', async () => {
  server.use(
    answer('GET /api/pipelines', [pipelineSummary({ id: 'orders', name: 'Orders' })]),
    answer('GET /api/ai/maintenance', [
      around(40, 41),
      around(-2, 5, { pipeline_id: 'orders', reason: REASON }),
      around(-50, -49, { pipeline_id: 'gone', by: null }),
    ]),
  )
  renderApp('/settings/maintenance')
  const [now, coming, past, ...more] = (await rows()).map((row) => row.textContent)
  expect(more).toEqual([])
  await waitFor(() => expect(screen.getAllByText('Orders').length).toBeGreaterThan(0))
  expect(now).toMatch(/^Now.*The warehouse is moved\./)
  expect(coming).toMatch(/^To come.*All pipelines/)
  expect(past).toMatch(/^Over.*gone/)
})

it('plans one for a pipeline, and says what is wrong with its times', async () => {
  const planned: Schemas['WindowBody'][] = []
  server.use(
    answer('GET /api/pipelines', [pipelineSummary({ id: 'orders', name: 'Orders' })]),
    answer('GET /api/ai/maintenance', () => planned),
    answer('POST /api/ai/maintenance', async (request) => {
      const body = (await request.json()) as Schemas['WindowBody']
      planned.push(maintenanceWindow(body))
      return maintenanceWindow(body)
    }),
  )
  const { user } = renderApp('/settings/maintenance', { role: 'operator' })
  expect(await screen.findByText('No maintenance is planned')).toBeVisible()
  await user.click(screen.getAllByRole('button', { name: 'Plan maintenance' })[0] as HTMLElement)
  const dialog = within(await screen.findByRole('dialog', { name: 'Plan maintenance' }))
  await user.selectOptions(dialog.getByLabelText('Pipeline'), 'Orders')
  const [from, to] = [dialog.getByLabelText('From'), dialog.getByLabelText('To')]
  await user.clear(from)
  await user.type(from, '2990-03-07T22:00')
  await user.type(dialog.getByLabelText(/^Reason/), REASON)
  await user.click(dialog.getByRole('button', { name: 'Plan it' }))
  expect(await dialog.findByText('It must end after it begins.')).toBeVisible()
  await user.clear(to)
  await user.type(to, '2990-03-08T02:00')
  await user.click(dialog.getByRole('button', { name: 'Plan it' }))
  expect(await screen.findByText('Maintenance is planned.')).toBeVisible()
  expect(planned).toMatchObject([
    {
      pipeline_id: 'orders',
      reason: REASON,
      begins_at: new Date('2990-03-07T22:00').toISOString(),
      ends_at: new Date('2990-03-08T02:00').toISOString(),
    },
  ])
  expect((await rows())[0]?.textContent).toContain(
    'To comeSun 7 Mar 2990, 22:00 to Mon 8 Mar 2990, 02:00',
  )
})

it('ends the one that runs, after saying what that means', async () => {
  let ends = 5
  server.use(
    answer('GET /api/ai/maintenance', () => [around(-2, ends)]),
    answer('POST /api/ai/maintenance/:id/end', () => {
      ends = -1
      return around(-2, ends)
    }),
  )
  const { user } = renderApp('/settings/maintenance', { role: 'operator' })
  await user.click(await screen.findByRole('button', { name: /^End now/ }))
  const dialog = within(await screen.findByRole('dialog', { name: 'End the maintenance now?' }))
  expect(dialog.getByText(/stays left out/)).toBeVisible()
  await user.click(dialog.getByRole('button', { name: 'End it now' }))
  expect(await screen.findByText('The maintenance is over.')).toBeVisible()
  expect(await screen.findByText('Over')).toBeVisible()
  expect(screen.queryByRole('button', { name: /^End now/ })).toBeNull()
})

it('deletes one, and says why where that fails', async () => {
  let windows = [around(-2, 5)]
  server.use(
    answer('GET /api/ai/maintenance', () => windows),
    http.delete('*/api/ai/maintenance/:id', () =>
      HttpResponse.json(
        { detail: 'The database does not answer.', code: 'error' },
        { status: 503 },
      ),
    ),
  )
  const { user } = renderApp('/settings/maintenance')
  await user.click(await screen.findByRole('button', { name: /^Delete/ }))
  const dialog = within(await screen.findByRole('dialog', { name: 'Delete this maintenance?' }))
  await user.click(dialog.getByRole('button', { name: 'Delete it' }))
  expect(await dialog.findByText(/The database does not answer/)).toBeVisible()
  server.use(
    http.delete('*/api/ai/maintenance/:id', () => {
      windows = []
      return HttpResponse.json({ message: 'Maintenance -2 deleted' })
    }),
  )
  await user.click(dialog.getByRole('button', { name: 'Delete it' }))
  expect(await screen.findByText('No maintenance is planned')).toBeVisible()
})

it('leaves a viewer nothing to change', async () => {
  server.use(answer('GET /api/ai/maintenance', [around(-2, 5)]))
  renderApp('/settings/maintenance', { role: 'viewer' })
  expect(await rows()).toHaveLength(1)
  expect(screen.queryByRole('button', { name: /Plan|End|Delete/ })).toBeNull()
})

it('says what could not be loaded', async () => {
  server.use(refuse('GET /api/ai/maintenance', 503))
  renderApp('/settings/maintenance')
  expect(await screen.findByText('The times of maintenance could not be loaded')).toBeVisible()
})
