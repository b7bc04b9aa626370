import { screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import { answer } from '@/test/api'
import { executionSummary, pool } from '@/test/factories'
import { renderApp } from '@/test/render'
import { server } from '@/test/server'

it('shows pools as they are used, and which nobody defined', async () => {
  server.use(
    answer('GET /api/pools', [
      pool({ used: 4, waiting: 3 }),
      pool({ name: 'licences', slots: null, used: 1, waiting: 2 }),
    ]),
  )
  const { location } = renderApp('/settings')
  const rows = (await screen.findAllByRole('row')).map((row) => row.textContent)
  expect(location()).toBe('/settings/pools')
  expect(rows[1]).toContain('cpu_heavy44 full3')
  expect(rows[2]).toContain('licencesnot defined: its stages share one slot11 full2')
})

it('changes the slots of a pool and says what fewer of them mean', async () => {
  let slots = 4
  server.use(
    answer('GET /api/pools', () => [pool({ slots })]),
    http.put('*/api/pools/:name', async ({ request, params }) => {
      slots = ((await request.json()) as { slots: number }).slots
      return HttpResponse.json(pool({ name: String(params.name), slots }))
    }),
  )
  const { user } = renderApp('/settings/pools')
  await user.click(await screen.findByRole('button', { name: /^Change ?cpu_heavy$/ }))
  const dialog = within(await screen.findByRole('dialog', { name: 'Change pool cpu_heavy' }))
  const field = dialog.getByLabelText('Slots')
  await user.clear(field)
  await user.type(field, 'many')
  await user.click(dialog.getByRole('button', { name: 'Save' }))
  expect(await dialog.findByText('A whole number from 0 to 100,000.')).toBeVisible()
  await user.clear(field)
  await user.type(field, '1')
  expect(await dialog.findByText(/^2 are used now: what runs goes on/)).toBeVisible()
  await user.click(dialog.getByRole('button', { name: 'Save' }))
  expect(await screen.findByText('Pool cpu_heavy has 1 slot.')).toBeVisible()
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  expect(slots).toBe(1)
})

it('leaves a viewer no way to change a pool', async () => {
  server.use(answer('GET /api/pools', [pool()]))
  renderApp('/settings/pools', { role: 'viewer' })
  expect(await screen.findByText('cpu_heavy')).toBeVisible()
  expect(screen.queryByRole('button', { name: /Change|Delete|New pool/ })).toBeNull()
})

const ABOUT = { version: '0.1.0', database: 'sqlite', code_stages: false, data_dirs: [] } as const

it('drains the server after saying what that means, and then says so on every page', async () => {
  let state: 'working' | 'draining' = 'working'
  const sent: unknown[] = []
  const drain = () => ({ state, running: 2, message: '' })
  server.use(
    answer('GET /api/admin/drain', drain),
    answer('GET /api/about', { ...ABOUT, data_dirs: ['/srv/data'] }),
    answer('GET /api/executions', [executionSummary({ status: 'running', ended_at: null })]),
    answer('GET /health', () => ({
      status: state === 'working' ? 'healthy' : 'draining',
      version: '0.1.0',
      instance: 'i1',
    })),
    answer('POST /api/admin/drain', async (request) => {
      sent.push(await request.json())
      state = 'draining'
      return drain()
    }),
  )
  const { user } = renderApp('/settings/server')
  expect(await screen.findByRole('link', { name: 'Orders #7' })).toBeVisible()
  await user.click(await screen.findByRole('button', { name: 'Drain…' }))
  const dialog = within(await screen.findByRole('dialog', { name: 'Take no more work?' }))
  expect(dialog.getByText(/^2 stages running now may end/)).toBeVisible()
  await user.type(dialog.getByLabelText(/^Grace in seconds/), '90')
  await user.click(dialog.getByRole('button', { name: 'Drain the server' }))
  expect(await screen.findByText(/^The server is draining/)).toBeVisible()
  expect(await screen.findByText('Draining')).toBeVisible()
  expect(screen.queryByRole('button', { name: 'Drain…' })).toBeNull()
  expect(sent).toEqual([{ grace_seconds: 90 }])
})

it('lets only an administrator drain it', async () => {
  server.use(
    answer('GET /api/admin/drain', { state: 'working', running: 0, message: '' }),
    answer('GET /api/about', { ...ABOUT, data_dirs: [] }),
    answer('GET /api/executions', []),
  )
  renderApp('/settings/server', { role: 'editor' })
  expect(await screen.findByText('Takes work')).toBeVisible()
  expect(screen.queryByRole('button', { name: 'Drain…' })).toBeNull()
})

it('says what is wrong while the server goes on', async () => {
  const detail = 'Redis does not answer (Connection refused): messages go through PostgreSQL.'
  server.use(
    answer('GET /api/admin/drain', { state: 'working', running: 0, message: '' }),
    answer('GET /api/about', { ...ABOUT, data_dirs: [] }),
    answer('GET /api/executions', []),
    answer('GET /health', { status: 'degraded', version: '0.1.0', instance: 'i1', detail }),
  )
  renderApp('/settings/server')
  expect(await screen.findByText(detail)).toBeVisible()
  expect(await screen.findByText('Takes work')).toBeVisible()
})
