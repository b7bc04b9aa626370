import { type LoaderFunctionArgs, type RouteObject, redirect } from 'react-router'
import { restoreSession, signInPath } from '@/lib/session'
import { NotFoundPage } from '@/pages/not-found-page'
import { Loading, PageError, StartError } from '@/pages/route-fallbacks'
import { Shell } from '@/pages/shell'

/** The one-time link of the first start is `/#setup=<token>`; a hash never reaches a server's log. */
function setupToken(): string | null {
  return new URLSearchParams(window.location.hash.slice(1)).get('setup')
}

async function requireSession({ request }: LoaderFunctionArgs) {
  const token = setupToken()
  if (token) throw redirect(`/setup#token=${encodeURIComponent(token)}`)
  if (await restoreSession()) return null
  const { pathname, search } = new URL(request.url)
  throw redirect(signInPath(pathname + search))
}

export const routes: RouteObject[] = [
  {
    path: '/login',
    lazy: async () => ({ Component: (await import('@/pages/sign-in-page')).SignInPage }),
    HydrateFallback: Loading,
    ErrorBoundary: StartError,
  },
  {
    path: '/setup',
    lazy: async () => ({ Component: (await import('@/pages/setup-page')).SetupPage }),
    HydrateFallback: Loading,
    ErrorBoundary: StartError,
  },
  {
    path: '/',
    loader: requireSession,
    // Who is signed in is known from then on; the shell sees it end.
    shouldRevalidate: () => false,
    Component: Shell,
    HydrateFallback: Loading,
    ErrorBoundary: StartError,
    children: [
      {
        ErrorBoundary: PageError,
        children: [
          {
            index: true,
            lazy: async () => ({
              Component: (await import('@/pages/dashboard/dashboard-page')).DashboardPage,
            }),
          },
          {
            path: 'pipelines',
            lazy: async () => ({
              Component: (await import('@/pages/pipelines-page')).PipelinesPage,
            }),
          },
          {
            path: 'pipelines/new',
            lazy: async () => ({
              Component: (await import('@/pages/new-pipeline-page')).NewPipelinePage,
            }),
          },
          {
            path: 'pipelines/:pipelineId',
            lazy: async () => ({
              Component: (await import('@/pages/pipeline-page')).PipelinePage,
            }),
          },
          {
            path: 'executions',
            lazy: async () => ({
              Component: (await import('@/pages/executions-page')).ExecutionsPage,
            }),
          },
          {
            path: 'executions/:executionId',
            lazy: async () => ({
              Component: (await import('@/pages/execution/execution-page')).ExecutionPage,
            }),
          },
          {
            path: 'approvals',
            lazy: async () => ({
              Component: (await import('@/pages/approvals-page')).ApprovalsPage,
            }),
          },
          {
            path: 'insights',
            lazy: async () => ({
              Component: (await import('@/pages/insights-page')).InsightsPage,
            }),
          },
          {
            path: 'settings',
            lazy: async () => ({
              Component: (await import('@/pages/settings/settings-page')).SettingsPage,
            }),
            children: [
              { index: true, loader: () => redirect('/settings/pools') },
              {
                path: 'pools',
                lazy: async () => ({
                  Component: (await import('@/pages/settings/pools-section')).PoolsSection,
                }),
              },
              {
                path: 'learning',
                lazy: async () => ({
                  Component: (await import('@/pages/settings/learning-section')).LearningSection,
                }),
              },
              {
                path: 'maintenance',
                lazy: async () => ({
                  Component: (await import('@/pages/settings/maintenance-section'))
                    .MaintenanceSection,
                }),
              },
              {
                path: 'workers',
                lazy: async () => ({
                  Component: (await import('@/pages/settings/workers-section')).WorkersSection,
                }),
              },
              {
                path: 'server',
                lazy: async () => ({
                  Component: (await import('@/pages/settings/server-section')).ServerSection,
                }),
              },
            ],
          },
          { path: '*', Component: NotFoundPage },
        ],
      },
    ],
  },
]
