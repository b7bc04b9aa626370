import { Link } from 'react-router'
import { EmptyState } from '@/components/feedback'
import { PageBody, PageHeader } from '@/components/page'
import { Button } from '@/components/ui/button'
import { Card } from '@/components/ui/card'
import { usePageTitle } from '@/hooks/use-page-title'

type Way = { to: string; label: string }

type NotFoundProps = { title: string; detail: string; ways: [Way, Way] }

/** Says what is missing and offers two ways out; the address stays as it is. */
export function NotFound({ title, detail, ways }: NotFoundProps) {
  usePageTitle(title)
  return (
    <>
      <PageHeader title="Not found" />
      <PageBody>
        <Card>
          <EmptyState
            icon="search"
            title={title}
            action={ways.map((way, position) => (
              <Button key={way.to} variant={position === 0 ? 'primary' : 'secondary'} asChild>
                <Link to={way.to}>{way.label}</Link>
              </Button>
            ))}
          >
            {detail}
          </EmptyState>
        </Card>
      </PageBody>
    </>
  )
}
