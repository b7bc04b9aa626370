import { useRouteError } from 'react-router'
import { explain } from '@/components/feedback'
import { Logo } from '@/components/logo'
import { PageBody, PageHeader } from '@/components/page'
import { Button } from '@/components/ui/button'
import { Card } from '@/components/ui/card'

export function Loading() {
  return (
    <div role="status" className="appear-late grid min-h-dvh place-items-center">
      <Logo className="size-8 opacity-60" />
      <span className="sr-only">Loading</span>
    </div>
  )
}

/** The page could not even start: no session answer, or a chunk of the build did not come. */
export function StartError() {
  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <Card className="w-full max-w-[420px] p-6">
        <RouteErrorText />
      </Card>
    </main>
  )
}

/** One page failed; the navigation stays. */
export function PageError() {
  return (
    <>
      <PageHeader title="This page failed" />
      <PageBody>
        <Card className="p-6">
          <RouteErrorText />
        </Card>
      </PageBody>
    </>
  )
}

function RouteErrorText() {
  const error = useRouteError()
  const text = error instanceof Error ? explain(error) : 'Something unexpected happened.'
  return (
    <div role="alert" className="flex flex-col items-start gap-3">
      <p className="text-strong font-semibold">The dashboard could not show this page</p>
      <p className="mono wrap-text text-small text-muted-foreground">{text}</p>
      <Button variant="primary" onClick={() => window.location.reload()}>
        Reload
      </Button>
    </div>
  )
}
